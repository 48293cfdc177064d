import { beforeEach, expect, test } from "vitest";
import { limits } from "../../core/limits.ts";
import { nodeFrameExamples } from "../../core/wire/frame-examples.ts";
import { type NodeFrame, nodeFrameSchema } from "../../core/wire/node-frame.ts";
import { parseFrames } from "../../core/wire/parse-frames.ts";
import { Outbound } from "./outbound.ts";

const { ack, delta, commit, pull, drained } = nodeFrameExamples;
let messages: string[];
let outbound: Outbound;
const turn = () => new Promise((resolve) => setImmediate(resolve));
/** What the router reads of each message. */
const read = (): NodeFrame[][] =>
  messages.map((message) => {
    const parsed = parseFrames(nodeFrameSchema, message);
    if (!parsed.ok) throw new Error(parsed.problem);
    return parsed.frames;
  });

beforeEach(() => {
  messages = [];
  outbound = new Outbound((message) => messages.push(message));
});

test("frames of one turn go as one message, in order, also over promises that are ready", async () => {
  outbound.add(ack);
  outbound.add(delta);
  await Promise.resolve();
  outbound.add(commit);
  await Promise.resolve().then(() => outbound.add(pull));
  expect(messages).toEqual([]);
  await turn();
  expect(read()).toEqual([[ack, delta, commit, pull]]);
});

test("frames of two turns go as two", async () => {
  outbound.add(ack);
  await turn();
  outbound.add(commit);
  await turn();
  expect(read()).toEqual([[ack], [commit]]);
});

test("one frame goes as itself, not in a list", async () => {
  outbound.add(drained);
  await turn();
  expect(messages).toEqual([JSON.stringify(drained)]);
});

test("what waits can be sent now, and is not sent again", async () => {
  outbound.add(drained);
  outbound.flush();
  expect(messages).toHaveLength(1);
  await turn();
  outbound.flush();
  expect(messages).toHaveLength(1);
});

test("what waited for a socket that is gone is forgotten", async () => {
  outbound.add(ack);
  outbound.drop();
  outbound.add(pull);
  await turn();
  expect(read()).toEqual([[pull]]);
});

test("a message has at most the frames that the wire takes, and none is lost", async () => {
  for (let count = 0; count < limits.framesPerMessage + 5; count += 1) outbound.add(drained);
  await turn();
  expect(read().map((frames) => frames.length)).toEqual([limits.framesPerMessage, 5]);
});

test("a message stays near 1 MiB, and none is lost", async () => {
  const text = "x".repeat(300_000);
  for (let seq = 0; seq < 10; seq += 1) {
    outbound.add({ type: "delta", items: [{ attemptId: ack.attemptId, seq, text }] });
  }
  await turn();
  for (const message of messages) expect(message.length).toBeLessThan(1024 * 1024);
  const items = read().flatMap((frames) => frames.flatMap((frame) => (frame.type === "delta" ? frame.items : [])));
  expect(items.map(({ seq }) => seq)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
});
