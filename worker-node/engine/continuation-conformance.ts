import { afterAll, beforeAll, expect, test } from "vitest";
import type { ChatMessage, Sampling } from "../../core/wire/task-input.ts";
import { type Answer, ask, greedy, headOf, prepare, user } from "./ask-engine.fixture.ts";
import type { Engine } from "./engine.ts";
import { UnknownTokenError } from "./unknown-token-error.ts";
import { UnsupportedTaskError } from "./unsupported-task-error.ts";

/** An engine and how many slots remember what ran in them. */
export interface ContinuingEngine {
  engine: Engine;
  slots: number;
}

/**
 * Asks for an answer, then continues it after each of its tokens (or those in `cuts`): what was there and what comes
 * must make the whole. Before each, every slot is given something else to remember, as on a node that never saw the
 * answer. Returns the whole answer.
 */
export async function expectEveryCutToJoin(
  { engine, slots }: ContinuingEngine,
  asking: { messages?: ChatMessage[]; sampling?: Partial<Sampling> },
  cuts?: readonly number[],
): Promise<Answer> {
  const whole = await ask(engine, asking);
  for (const cut of cuts ?? Array.from({ length: whole.tokenIds.length + 1 }, (_, index) => index)) {
    const head = headOf(whole, cut);
    await forget({ engine, slots });
    const rest = await ask(engine, { ...asking, continues: head.tokenIds });
    expect([...head.tokenIds, ...rest.tokenIds], `ids continued after ${cut}`).toEqual(whole.tokenIds);
    expect(head.text + rest.text, `text continued after ${cut}`).toBe(whole.text);
    // An engine may give several tokens in one piece; its reader has them all or none.
    const left = whole.tokenIds.length - head.tokenIds.length;
    expect(rest.outcome).toEqual({ ...whole.outcome, completionTokens: left });
  }
  return whole;
}

async function forget({ engine, slots }: ContinuingEngine): Promise<void> {
  const asking = { messages: [user("something else")], sampling: { maxTokens: 1 } };
  await Promise.all(Array.from({ length: slots }, () => ask(engine, asking)));
}

/** What every engine guarantees of an answer that another node began; part of `describeEngine`. */
export function describeContinuation({
  makeChat,
  slots,
  leavesPenalties = false,
  isVerifiable = false,
}: {
  makeChat(): Promise<Engine>;
  slots: number;
  leavesPenalties?: boolean;
  isVerifiable?: boolean;
}): void {
  let engine: Engine;
  let continuing: ContinuingEngine;
  beforeAll(async () => {
    engine = await makeChat();
    continuing = { engine, slots };
  });
  afterAll(() => engine.dispose());

  test("continued from any of its tokens it is the whole answer, no token twice and none missing", async () => {
    expect((await expectEveryCutToJoin(continuing, {})).tokenIds.length).toBeGreaterThan(1);
  });

  const penalties = { frequencyPenalty: 1.3, presencePenalty: 0.7, maxTokens: 24 };

  const leavePenalties = async () => {
    const { tokenIds } = await ask(engine, { sampling: penalties });
    const asked = prepare(engine, { sampling: penalties, continues: tokenIds.slice(0, 3) });
    await expect(asked).rejects.toThrow("cannot continue an answer with penalties");
    // Which would tell the caller that no node can.
    await expect(asked).rejects.not.toBeInstanceOf(UnsupportedTaskError);
  };

  const countPenalties = async () => {
    const sampling = penalties;
    const whole = await expectEveryCutToJoin(continuing, { sampling });
    expect(whole.tokenIds).not.toEqual((await ask(engine, { sampling: { maxTokens: 24 } })).tokenIds);
  };

  if (leavesPenalties) test("an answer with penalties is left to another node", leavePenalties);
  else test("penalties count what was continued", countPenalties);

  test("a stop string that begins before the cut and ends after it is found, and no part of it shown", async () => {
    const { text } = await ask(engine, { sampling: { maxTokens: 24 } });
    for (const length of [2, 5]) {
      const stop = [text.slice(Math.floor(text.length / 3)).slice(0, length)];
      const whole = await expectEveryCutToJoin(continuing, { sampling: { maxTokens: 24, stop } });
      expect(whole.outcome.finishReason).toBe("stop");
    }
  });

  test("text held back for a stop string that never comes is let out once, wherever the cut", async () => {
    const { text } = await ask(engine);
    const stop = [`${text.slice(-3)}\u0000never`];
    expect((await expectEveryCutToJoin(continuing, { sampling: { stop } })).text).toBe(text);
  });

  if (isVerifiable) {
    test.each<[name: string, sampling: Partial<Sampling>]>([
      ["temperature 1", { temperature: 1 }],
      ["temperature 2 with top-k, top-p and min-p", { temperature: 2, topK: 30, topP: 0.95, minP: 0.01 }],
      ["temperature 0.7 with penalties", { temperature: 0.7, frequencyPenalty: 0.9, presencePenalty: 0.3 }],
    ])("at %s too it makes the very draws that one node would", async (_name, sampling) => {
      const asking = { sampling: { ...sampling, seed: 12, maxTokens: 24 } };
      expect((await expectEveryCutToJoin(continuing, asking)).tokenIds.length).toBeGreaterThan(1);
    });
  }

  test("one seed continues one way", async () => {
    const sampling = { temperature: 1, seed: 11, maxTokens: 20 };
    const continues = (await ask(engine, { sampling })).tokenIds.slice(0, 5);
    const first = await ask(engine, { sampling, continues });
    expect((await ask(engine, { sampling, continues })).tokenIds).toEqual(first.tokenIds);
  });

  test("ids that reach maxTokens end it by length with nothing run", async () => {
    const { tokenIds } = await ask(engine, { sampling: { maxTokens: 6 } });
    for (const maxTokens of [6, 3]) {
      const { outcome, pieces } = await ask(engine, { sampling: { maxTokens }, continues: tokenIds });
      expect(outcome).toMatchObject({ finishReason: "length", completionTokens: 0 });
      expect(pieces).toEqual([]);
    }
  });

  test("ids that complete a stop string end it by stop with nothing run, also where they reach maxTokens", async () => {
    const { text } = await ask(engine);
    const stop = [text.slice(1, 3)];
    const { tokenIds, outcome: ended } = await ask(engine, { sampling: { stop } });
    for (const maxTokens of [12, tokenIds.length]) {
      const { outcome, pieces } = await ask(engine, { sampling: { stop, maxTokens }, continues: tokenIds });
      expect(outcome).toEqual({ ...ended, finishReason: "stop", completionTokens: 0 });
      expect(pieces).toEqual([]);
    }
  });

  test("ids that fill the context after the prompt end it by length", async () => {
    const [tokenId = 0] = (await ask(engine)).tokenIds;
    const { promptTokens } = (await ask(engine)).outcome;
    const room = engine.contextTokens - promptTokens;
    const sampling = { maxTokens: null };
    for (const count of [room, room + 3]) {
      const { outcome, tokenIds } = await ask(engine, { sampling, continues: new Array(count).fill(tokenId) });
      expect(outcome).toEqual({ finishReason: "length", promptTokens, completionTokens: 0 });
      expect(tokenIds).toEqual([]);
    }
    const last = await ask(engine, { sampling, continues: new Array(room - 1).fill(tokenId) });
    expect(last.outcome.completionTokens).toBeLessThanOrEqual(1);
  });

  test("cancelled before it starts it generates nothing", async () => {
    const continues = (await ask(engine)).tokenIds.slice(0, 3);
    const { outcome, tokenIds } = await ask(engine, { continues, signal: AbortSignal.abort() });
    expect(outcome).toMatchObject({ finishReason: "cancelled", completionTokens: 0 });
    expect(tokenIds).toEqual([]);
  });

  test.each([[1_000_000_000], [-1], [0.5]])(
    "an id that the model does not have (%d) is refused by name",
    async (id) => {
      const asked = engine.prepareChat(
        { kind: "chat", messages: [user("hello")], sampling: greedy },
        { continues: [id] },
      );
      await expect(asked).rejects.toBeInstanceOf(UnknownTokenError);
      await expect(asked).rejects.toMatchObject({ tokenId: id });
    },
  );
}
