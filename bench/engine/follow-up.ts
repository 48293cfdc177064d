import { median } from "../quantiles.ts";
import { ms, type ReportLine } from "../report.ts";
import { followUp, longConversation } from "./conversations.ts";
import type { Contender } from "./round.ts";

const goal = { times: 5 };
/** Of the first turn's answer, and of the follow-up's: the first token is what counts. */
const tokens = { answer: 16, followUp: 2 };

interface Pair {
  promptTokens: number;
  withAffinityMs: number;
  withoutAffinityMs: number;
}

/**
 * Time to the first token of a follow-up turn on about 1,500 tokens, sent to the node that answered the first turn,
 * beside the same turn sent to a node that never saw the conversation. Both are one process here: what a slot doesn't
 * hold, it must read, whoever's it is.
 */
export async function measureFollowUp(
  ours: Contender,
  { rounds }: { rounds: number },
): Promise<{ lines: ReportLine[]; figures: unknown }> {
  const pairs: Pair[] = [];
  for (let round = 0; round < rounds; round++) {
    const first = longConversation(`${round} held`);
    const answered = await ours.run({ conversations: [first], tokens: tokens.answer });
    const answer = answered.answers[0]?.text ?? "";
    const held = await firstToken(ours, followUp(first, answer));
    const unseen = await firstToken(ours, followUp(longConversation(`${round} unseen`), answer));
    pairs.push({
      promptTokens: held.promptTokens,
      withAffinityMs: held.firstTokenMs,
      withoutAffinityMs: unseen.firstTokenMs,
    });
  }
  const ratios = pairs.map((pair) => pair.withoutAffinityMs / pair.withAffinityMs);
  const times = median(ratios);
  return {
    lines: [
      { what: "tokens of the follow-up's prompt", value: String(median(pairs.map((pair) => pair.promptTokens))) },
      { what: "first token, node that holds it", value: ms(median(pairs.map((pair) => pair.withAffinityMs))) },
      { what: "first token, node that does not", value: ms(median(pairs.map((pair) => pair.withoutAffinityMs))) },
      {
        what: "sooner with affinity",
        value: `${times.toFixed(1)}×  (${ratios.map((ratio) => ratio.toFixed(1)).join(", ")})`,
        goal: `at least ${goal.times}×`,
        isMet: times >= goal.times,
      },
    ],
    figures: pairs,
  };
}

async function firstToken(ours: Contender, conversation: ReturnType<typeof followUp>) {
  const { answers } = await ours.run({ conversations: [conversation], tokens: tokens.followUp });
  const [answer] = answers;
  if (answer === undefined) throw new Error("a conversation has no answer");
  return answer;
}
