import type { CheckReport } from "../../core/wire/node-frame.ts";
import type { CheckInput } from "../../core/wire/task-input.ts";
import type { ChatPiece } from "../../worker-node/engine/engine.ts";
import type { Answer, Cheat, Means, TextInput } from "./hostile-engine.ts";

const canned =
  "That is a great question. There are many things to consider here, and the best answer depends on what you need. " +
  "In general it is a good idea to start with the basics and to take one step at a time.";

/** How often a node cheats that mixes. */
const oneIn = 20;
/** How long one behaves that thinks it is watched: when it is new, and in bursts later. */
const watched = { first: 12, burst: 8, cheats: 4 } as const;

/** Every way to cheat that the kit knows, by the name that `--cheat` takes. */
export const cheats = {
  /** Serves another file under the honest file's hash: a smaller model, another quantisation, a fine-tune. */
  "other-model": { answer: (input, { other }) => other(input) },
  canned: { answer: cannedAnswer },
  /** Gives each caller what the first one got. */
  copied: { answer: copiedAnswer() },
  /** Stops halfway and says that the model did. */
  truncated: {
    answer: async (input, { honest }) => {
      const answer = await honest(input);
      return { ...answer, pieces: answer.pieces.slice(0, Math.ceil(answer.pieces.length / 2)), finishReason: "stop" };
    },
  },
  /** Counts tokens of the prompt that it does not have. */
  "wrong-counts": { extraPromptTokens: 7 },
  /** A third of the model's tokens, then another text. */
  garbage: {
    answer: async (input, means) => {
      const answer = await means.honest(input);
      const kept = answer.pieces.slice(0, answer.pieces.length / 3);
      const rest = await cannedPiece(means, countOf(answer.pieces) - countOf(kept));
      return { ...answer, pieces: [...kept, rest] };
    },
  },
  /** Ids of the model, and another text for the reader. */
  "forged-ids": {
    answer: async (input, { honest }) => {
      const answer = await honest(input);
      return { ...answer, pieces: answer.pieces.map(({ tokenIds }, at) => ({ tokenIds, text: canned[at] ?? "." })) };
    },
  },
  "other-temperature": {
    answer: (input, { honest }) =>
      honest({ ...input, sampling: { ...input.sampling, temperature: input.sampling.temperature > 0 ? 0 : 1.5 } }),
  },
  "other-seed": {
    answer: (input, { honest }) =>
      honest({ ...input, sampling: { ...input.sampling, seed: (input.sampling.seed + 1) % 2 ** 32 } }),
  },
  "other-system-prompt": {
    answer: (input, { honest }) => {
      const own = { role: "system" as const, content: "Answer like a pirate." };
      return honest(input.kind === "chat" ? { ...input, messages: [own, ...input.messages] } : input);
    },
  },
  /** Cheats in one answer of twenty. */
  mixed: { answer: (input, means) => (means.random() < 1 / oneIn ? means.other(input) : means.honest(input)) },
  /** Behaves while it is new, and in bursts afterwards, which it hopes are those that are watched. */
  "when-unwatched": {
    answer: (input, means) => {
      const later = means.answered - watched.first;
      const isCheating = later >= 0 && later % (watched.burst + watched.cheats) < watched.cheats;
      return isCheating ? means.other(input) : means.honest(input);
    },
  },
  /** Says of every answer that it is plausible, without reading. */
  "lazy-validator": { check: (input) => reportOf(input, { margin: 0, rank: 0 }) },
  /** Says of every answer that it is not. */
  "lying-validator": { check: (input) => reportOf(input, { margin: 5, rank: 99 }) },
  /** Cheats, and tells its accomplice which answers are its own. */
  colluder: {
    answer: async (input, { other, shared }) => {
      const answer = await other(input);
      shared.add(textOf(answer));
      return answer;
    },
  },
  /** Vouches for the colluder's answers and checks all others. */
  accomplice: {
    check: (input, { shared }) => (shared.has(input.text) ? reportOf(input, { margin: 0, rank: 0 }) : "honest"),
    checksHonestly: true,
  },
} satisfies Record<string, Cheat>;
export type CheatName = keyof typeof cheats;
export const cheatNames = Object.keys(cheats) as CheatName[];

function textOf({ pieces }: Answer): string {
  return pieces.map(({ text }) => text).join("");
}

function reportOf({ positions }: CheckInput, finding: { margin: number; rank: number }): CheckReport {
  return {
    findings: positions.map((position) => ({ position, ...finding })),
    isTextOfTokens: true,
    isEndRight: true,
  };
}

async function cannedAnswer(input: TextInput, means: Means): Promise<Answer> {
  const { pieces } = await means.honest(input);
  return { pieces: [await cannedPiece(means, countOf(pieces))], finishReason: "stop" };
}

/** The canned text's beginning, of at most so many tokens. */
async function cannedPiece({ idsOf }: Means, most: number): Promise<ChatPiece> {
  let text = canned;
  let tokenIds = await idsOf(text);
  while (tokenIds.length > most && text.length > 1) {
    text = text.slice(0, Math.max(1, Math.floor((text.length * most) / tokenIds.length) - 1));
    tokenIds = await idsOf(text);
  }
  return { tokenIds, text };
}

function countOf(pieces: readonly ChatPiece[]): number {
  return pieces.reduce((sum, { tokenIds }) => sum + tokenIds.length, 0);
}

function copiedAnswer(): NonNullable<Cheat["answer"]> {
  let first: Promise<Answer> | undefined;
  return (input, { honest }) => {
    first ??= honest(input);
    return first;
  };
}
