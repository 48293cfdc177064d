import { expect, test } from "vitest";
import { modelHashSchema, newAttemptId, newTaskId } from "../../core/ids.ts";
import type { DeltaItem, NodeFrame } from "../../core/wire/node-frame.ts";
import type { RouterFrame } from "../../core/wire/router-frame.ts";
import { idsOf, NodeWire } from "./node-wire.ts";
import type { Direction } from "./tcp-proxy.ts";

const taskId = newTaskId();
const attemptId = newAttemptId();
const model = modelHashSchema.parse("0".repeat(64));

/** A wire on which one may say frames as if they had passed. */
function newWire() {
  const wire = new NodeWire();
  const begun = new Set<string>();
  const say = (direction: Direction, frames: (NodeFrame | RouterFrame)[] | string, connection = 1) => {
    const text = Buffer.from(typeof frames === "string" ? frames : JSON.stringify(frames));
    const length = Buffer.alloc(2);
    length.writeUInt16BE(text.length);
    const head = begun.has(`${connection} ${direction}`) ? "" : "HTTP/1.1 whatever\r\n\r\n";
    begun.add(`${connection} ${direction}`);
    const bytes = Buffer.concat([Buffer.from(head), Buffer.from([0x81, 126]), length, text]);
    wire.pass({ connection, direction, bytes });
  };
  const task = (continues?: number[]) =>
    say("fromTarget", [
      {
        type: "task",
        taskId,
        attemptId,
        model,
        input: { kind: "embedding", texts: ["a"] },
        ...(continues === undefined ? {} : { continues }),
      },
    ]);
  const piece = (seq: number, ids: number[]): DeltaItem => ({ attemptId, seq, tokenIds: ids, text: "x" });
  const pieces = (...items: DeltaItem[]) => say("toTarget", [{ type: "delta", items }]);
  return { wire, say, task, piece, pieces };
}

test("an attempt is what passed of it: what it goes on from, its pieces in order, its end", () => {
  const { wire, say, task, piece, pieces } = newWire();
  task([1, 2]);
  say("toTarget", [{ type: "ack", attemptId, promptTokens: 3 }]);
  pieces(piece(0, [3]), piece(1, [4, 5]));
  expect(wire.running).toHaveLength(1);
  say("toTarget", [
    { type: "delta", items: [piece(2, [6])] },
    { type: "commit", attemptId, finishReason: "stop", promptTokens: 3, completionTokens: 4 },
  ]);
  const [attempt] = wire.attemptsOf(taskId);
  if (attempt === undefined) throw new Error("It passed.");
  expect([attempt.continues, idsOf(attempt)]).toEqual([
    [1, 2],
    [3, 4, 5, 6],
  ]);
  expect(attempt).toMatchObject({ ackedAtMs: expect.any(Number), commit: { finishReason: "stop" } });
  expect([wire.running, wire.problems]).toEqual([[], []]);
});

test("a piece that is sent again counts once", () => {
  const { wire, task, piece, pieces } = newWire();
  task();
  pieces(piece(0, [1]), piece(1, [2]));
  pieces(piece(1, [2]), piece(2, [3]));
  const [attempt] = wire.attemptsOf(taskId);
  expect(attempt === undefined ? [] : idsOf(attempt)).toEqual([1, 2, 3]);
  expect(attempt?.repeats).toBe(1);
  expect(wire.problems).toEqual([]);
});

test.each<[problem: string, said: string, items: (piece: (seq: number, ids: number[]) => DeltaItem) => DeltaItem[]]>([
  ["sent again with another content", "another content", (piece) => [piece(0, [1]), piece(0, [2])]],
  ["out of order", "went after 1 pieces", (piece) => [piece(0, [1]), piece(2, [3])]],
])("a piece that is %s is a problem", (_problem, said, items) => {
  const { wire, task, piece, pieces } = newWire();
  task();
  pieces(...items(piece));
  expect(wire.problems.join("\n")).toContain(said);
});

test("a frame that the wire does not know is a problem", () => {
  const { wire, say } = newWire();
  say("toTarget", '{"type":"greeting"}');
  say("fromTarget", "hello");
  expect(wire.problems).toHaveLength(2);
});

test("a node serves from its pull until that connection, and no older one, ends", () => {
  const { wire, say } = newWire();
  const pull = (connection: number) => say("toTarget", [{ type: "pull", model, creditsTotal: 1 }], connection);
  pull(1);
  expect(wire.isServing).toBe(true);
  say("fromTarget", [{ type: "heartbeat" }], 2);
  expect(wire.isServing).toBe(false);
  pull(2);
  wire.closed(1);
  expect(wire.isServing).toBe(true);
  wire.closed(2);
  expect(wire.isServing).toBe(false);
});
