import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import type { ChatInput, CheckInput } from "../../core/wire/task-input.ts";
import type { ChatPiece, Engine, PreparedChat } from "../../worker-node/engine/engine.ts";
import { UnsupportedTaskError } from "../../worker-node/engine/unsupported-task-error.ts";
import { type CheatName, cheatNames, cheats } from "./cheats.ts";
import { HostileEngine } from "./hostile-engine.ts";

const input: ChatInput = {
  kind: "chat",
  messages: [{ role: "user", content: "hello" }],
  sampling: {
    ...{ temperature: 1, topP: 1, frequencyPenalty: 0, presencePenalty: 0, seed: 7, stop: [], maxTokens: 8 },
  },
};

/** Eight tokens that depend on all it is asked, `letter` in the text of each. */
function engine(letter: string): Engine {
  const prepared = (given: { kind: string }): PreparedChat => ({
    ...{ kind: "prepared", promptTokens: 9, promptIds: [1, 2, 3] },
    run: async ({ onPiece }) => {
      const number = seedOf(JSON.stringify(given));
      for (let at = 0; at < 8; at++) onPiece({ tokenIds: [number + at], text: `${letter}${number + at}` });
      return { finishReason: "length", promptTokens: 9, completionTokens: 8 };
    },
  });
  return {
    ...({ kind: "chat", contextTokens: 64, dimensions: undefined } as const),
    prepareChat: async (given) => prepared(given),
    prepareEmbedding: () => Promise.reject(new Error("not here")),
    prepareCheck: async () => {
      throw new Error("the honest check was made");
    },
    measureTokensPerSecond: async () => 1,
    dispose: async () => {},
  };
}

/** The same for the same text. */
function seedOf(text: string): number {
  return [...text].reduce((sum, character) => (sum * 31 + character.charCodeAt(0)) % 9_973, 7);
}

function hostile(cheat: CheatName): HostileEngine {
  const lines = new Set<string>();
  return new HostileEngine({
    honest: engine("h"),
    loadOther: async () => engine("o"),
    cheat: cheats[cheat],
    shared: { add: (line) => void lines.add(line), has: (line) => lines.has(line) },
    random: () => 0,
  });
}

async function answer(of: Engine, given = input) {
  const prepared = await of.prepareChat(given);
  if (prepared.kind !== "prepared") throw new Error("it does not fit");
  const pieces: ChatPiece[] = [];
  const outcome = await prepared.run({ onPiece: (piece) => pieces.push(piece), signal: new AbortController().signal });
  const text = pieces.map((piece) => piece.text).join("");
  return { text, tokenIds: pieces.flatMap(({ tokenIds }) => tokenIds), acked: prepared.promptTokens, ...outcome };
}

const answering = cheatNames.filter(
  (name) => !name.endsWith("validator") && name !== "accomplice" && name !== "when-unwatched",
);

test.each(answering)("%s hands in what the honest engine would not have", async (name) => {
  const of = hostile(name);
  await answer(of, { ...input, messages: [{ role: "user", content: "first" }] });
  const { text, tokenIds, finishReason, promptTokens } = await answer(of);
  const honest = await answer(engine("h"));
  expect([text, tokenIds, finishReason, promptTokens]).not.toEqual([
    ...[honest.text, honest.tokenIds, honest.finishReason, honest.promptTokens],
  ]);
});

test("one that waits until it is unwatched begins honestly", async () => {
  const of = hostile("when-unwatched");
  const first = await answer(of);
  for (let task = 1; task < 12; task++) await answer(of);
  expect(first.text.startsWith("h")).toBe(true);
  expect((await answer(of)).text.startsWith("o")).toBe(true);
});

const check: CheckInput = {
  ...({ kind: "check", of: input, tokenIds: [1, 2], text: "x", finishReason: "length", positions: [0, 1] } as const),
};

test("a lazy validator and a liar never read, and who cheats in answers does not check", async () => {
  for (const [name, margin] of [["lazy-validator", 0] as const, ["lying-validator", 5] as const]) {
    const prepared = await hostile(name).prepareCheck(check);
    if (prepared.kind !== "prepared") throw new Error("it does not fit");
    const { findings } = await prepared.run({ signal: new AbortController().signal });
    expect(findings.map((finding) => finding.margin)).toEqual([margin, margin]);
  }
  await expect(hostile("canned").prepareCheck(check)).rejects.toThrow(UnsupportedTaskError);
  await expect(hostile("accomplice").prepareCheck(check)).rejects.toThrow("the honest check was made");
});

test("the kit knows nothing of how answers are judged", () => {
  const kit = readdirSync(import.meta.dirname).filter((name) => !/\.(test|e2e)\.ts$/.test(name));
  const found = kit.filter((name) => {
    const text = readFileSync(join(import.meta.dirname, name), "utf8");
    return /core\/(validation|reputation|decoding)|edge\//.test(text);
  });
  expect(kit).toContain("hostile-node.ts");
  expect(found).toEqual([]);
});
