import { expect, test, vi } from "vitest";
import type { AttemptEvent } from "../../core/lease/attempt-event.ts";
import { TellingReader } from "../telling-reader.ts";
import { Reader } from "./reader.ts";

const delta = (seq: number): AttemptEvent => ({ type: "delta", seq, text: "a", tokenIds: [1] });
const end: AttemptEvent = { type: "committed", finishReason: "stop", promptTokens: 3, completionTokens: 2 };

function reading({ isWhole = false } = {}) {
  const onUnread = vi.fn();
  const reader = new Reader({ isWhole, onUnread });
  /** One turn of its owner. */
  const turn = (...events: AttemptEvent[]) => {
    for (const event of events) reader.tell(event);
    reader.flush();
  };
  return { reader, onUnread, turn };
}

async function restOf(events: ReadableStream<Uint8Array> | null): Promise<AttemptEvent[][] | null> {
  if (events === null) return null;
  const reader = new TellingReader(events);
  const rounds: AttemptEvent[][] = [];
  for (let told = await reader.next(); told !== undefined; told = await reader.next()) rounds.push(told);
  return rounds;
}

test("what was there before anybody asked comes as data, the rest as a stream", async () => {
  const { reader, turn } = reading();
  turn(delta(0));
  const { promptTokens, early, events } = await reader.telling(3);
  turn(delta(1), end);
  expect({ promptTokens, early, rest: await restOf(events) }).toEqual({
    promptTokens: 3,
    early: [delta(0)],
    rest: [[delta(1), end]],
  });
});

test("an answer that was over before anybody asked needs no stream", async () => {
  const { reader, turn } = reading();
  turn(delta(0), end);
  expect(await reader.telling(3)).toEqual({ promptTokens: 3, early: [delta(0), end], events: null });
});

test("what one turn told is there in one read", async () => {
  const { reader, turn } = reading();
  const { events } = await reader.telling(3);
  if (events === null) throw new Error("no stream");
  const telling = new TellingReader(events);
  const next = telling.next();
  turn(delta(0), delta(1));
  expect(await next).toEqual([delta(0), delta(1)]);
  const last = telling.next();
  turn(end);
  expect(await last).toEqual([end]);
});

test("a whole answer comes at its end, all of it as data", async () => {
  const { reader, turn } = reading({ isWhole: true });
  const telling = reader.telling(3);
  turn(delta(0));
  turn(delta(1));
  turn(end);
  expect(await telling).toEqual({ promptTokens: 3, early: [delta(0), delta(1), end], events: null });
});

test.each([{ isWhole: true }, { isWhole: false }])(
  "a reader whose place was taken stops without an end (%o)",
  async ({ isWhole }) => {
    const { reader, turn, onUnread } = reading({ isWhole });
    turn(delta(0));
    const asked = reader.telling(3);
    // A stream is there once it was asked for.
    if (!isWhole) await asked;
    reader.hangUp();
    turn(delta(1), end);
    const { early, events } = await asked;
    expect(early).toEqual([delta(0)]);
    expect(await restOf(events)).toEqual(isWhole ? null : []);
    expect(onUnread).not.toHaveBeenCalled();
  },
);

test("one whose place was taken before the node had acked hears of a lost node, and of no later ack", async () => {
  const { reader } = reading();
  reader.hangUp();
  reader.start({ kind: "acked", promptTokens: 3 });
  expect(await reader.started).toMatchObject({ kind: "failed", how: "socketGone" });
});

test("a stream that its reader leaves says so once, and takes no more", async () => {
  const { reader, turn, onUnread } = reading();
  const { events } = await reader.telling(3);
  await events?.cancel();
  expect(onUnread).toHaveBeenCalledOnce();
  turn(delta(0));
  turn(end);
  expect(onUnread).toHaveBeenCalledOnce();
});

test("a stream that was over when its reader left says nothing", async () => {
  const { reader, turn, onUnread } = reading();
  const { events } = await reader.telling(3);
  turn(delta(0), end);
  await events?.cancel();
  expect(onUnread).not.toHaveBeenCalled();
});

test("after an end nothing is told", async () => {
  const { reader, turn } = reading();
  const { events } = await reader.telling(3);
  turn(end, delta(1));
  expect(await restOf(events)).toEqual([[end]]);
});

test("it is behind as long as something told waits here for its reader", async () => {
  const { reader, turn } = reading();
  turn(delta(0));
  expect(reader.isBehind).toBe(true);
  const { events } = await reader.telling(3);
  expect(reader.isBehind).toBe(false);
  turn(delta(1));
  turn(delta(2));
  expect(reader.isBehind).toBe(true);
  if (events === null) throw new Error("no stream");
  await new TellingReader(events).next();
  expect(reader.isBehind).toBe(false);
  turn(delta(3));
  expect(reader.isBehind).toBe(true);
});

test("a whole answer is behind until its end: all of it waits here", async () => {
  const { reader, turn } = reading({ isWhole: true });
  const telling = reader.telling(3);
  turn(delta(0));
  expect(reader.isBehind).toBe(true);
  turn(end);
  await telling;
});
