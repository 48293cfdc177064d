import { describe, expect, test } from "vitest";
import { accountIdSchema, attemptIdSchema, keyIdSchema, modelHashSchema, nodeIdSchema, taskIdSchema } from "../ids.ts";
import type { LeaseTerms } from "../lease/lease.ts";
import { LeaseBook } from "../lease/lease-book.ts";
import { modelNameSchema } from "../model/model-card.ts";
import { leaseInputSchema, pieceOfTrace, taskOfTrace, tracedPiece } from "./lease-input.ts";
import { ticketOfTrace, tracedTicket } from "./pool-input.ts";
import { parseTrace, Trace } from "./trace.ts";
import { TracedLeaseBook, tellBook } from "./traced-lease-book.ts";

const nodeId = nodeIdSchema.parse("node_0001");
const attemptId = attemptIdSchema.parse("attempt_0001");
const terms: LeaseTerms = {
  taskId: taskIdSchema.parse("task_0001"),
  attemptId,
  accountId: accountIdSchema.parse("acct"),
  keyId: keyIdSchema.parse("key_0001"),
  modelName: modelNameSchema.parse("toy"),
  model: modelHashSchema.parse("a".repeat(64)),
  kind: "chat",
  inputs: 0,
  dimensions: null,
  createdAtMs: 1_000,
  priorAttempts: [],
  continuedTokens: 0,
};
const secret = "what nobody else may read";

/** A short life of one attempt, told to a book that traces. */
function tracedLife() {
  const trace = new Trace();
  const book = new TracedLeaseBook(nodeId, { hasSocket: true, trace });
  const task = taskOfTrace(terms);
  const effects = [
    book.recover({ open: [], ended: [] }, 1_000),
    book.open(terms, { ...task, input: { ...task.input } }, 1_001),
    book.ack(attemptId, 7, 1_010),
    book.tick(1_030, 1_020, () => false),
    book.delta({ attemptId, seq: 0, text: secret, tokenIds: [4, 5] }, 1_040),
    book.detach(attemptId, 1_050),
    book.attach({ attemptId, nextSeq: 1, completionTokens: 2, vectors: [] }, 1_060).effects,
    book.socketLost(1_070, 1_070, "the socket broke"),
    book.welcome([], 1_080).effects,
    book.cancel(attemptId, 1_090).effects,
  ];
  return { trace, effects };
}

test("a traced book does what a plain one does, and a plain one told the trace does it again", () => {
  const { trace, effects } = tracedLife();
  const again = new LeaseBook(nodeId, { hasSocket: true });
  const told = parseTrace(trace.toText()).map((entry) => {
    if (entry.object !== "node") throw new Error("a node's trace has nodes' entries");
    if (entry.input.type === "recover") {
      again.recover(entry.input, entry.atMs);
      return [];
    }
    return tellBook(again, entry.input, entry.atMs).effects;
  });
  expect(told).toHaveLength(effects.length);
  // The text and the token ids are not in the trace; all else is the same.
  const due = JSON.stringify(effects.map((each) => each ?? []));
  expect(JSON.stringify(told)).toBe(due.replace(`"text":"${secret}",`, "").replace("[4,5]", "[0,0]"));
});

test("no text of a prompt or an answer is in a trace", () => {
  expect(tracedLife().trace.toText()).not.toContain(secret);
  expect(tracedLife().trace.toText()).not.toContain("messages");
});

test("the stop sequence that ended an answer is its caller's, and not in a trace", () => {
  const trace = new Trace();
  const book = new TracedLeaseBook(nodeId, { hasSocket: true, trace });
  book.open(terms, taskOfTrace(terms), 1_001);
  book.ack(attemptId, 7, 1_010);
  const commit = { type: "commit", attemptId, finishReason: "stop", promptTokens: 7, completionTokens: 0 } as const;
  expect(JSON.stringify(book.commit({ ...commit, stopSequence: secret }, 1_020))).toContain(secret);
  expect(trace.toText()).not.toContain(secret);
  expect(parseTrace(trace.toText()).at(-1)).toMatchObject({ input: commit });
});

test("a trace keeps what came last, within its bound", () => {
  const trace = new Trace();
  for (let index = 0; index < 50_000; index += 1) trace.noteLease("n", { type: "cancel", attemptId }, index);
  expect(trace.entries.length).toBeLessThanOrEqual(16_384);
  expect(trace.entries.length).toBeGreaterThanOrEqual(8_192);
  expect(trace.entries.at(-1)?.atMs).toBe(49_999);
});

test("what a pool draws is noted with what it was told", () => {
  const trace = new Trace();
  const draws = [0.25, 0.5];
  const random = trace.notePool("p", { type: "expire" }, 5, () => draws.shift() ?? 1);
  expect([random(), random()]).toEqual([0.25, 0.5]);
  expect(parseTrace(trace.toText())).toEqual([
    { atMs: 5, object: "pool", name: "p", input: { type: "expire" }, draws: [0.25, 0.5] },
  ]);
});

describe("what is traced counts as what was", () => {
  test.each<[sizeBytes: number, float32: string]>([
    [4, "AAAAAA=="],
    [8, "AAAAAAAAAAA="],
    [12, "AAAAAAAAAAAAAAAA"],
  ])("a vector of %i bytes", (_sizeBytes, float32) => {
    const piece = { attemptId, seq: 3, vectors: [{ index: 1, float32 }] };
    expect(pieceOfTrace(tracedPiece(piece))).toEqual(piece);
  });

  test("a piece without tokens or vectors", () => {
    expect(pieceOfTrace(tracedPiece({ attemptId, seq: 0, text: "" }))).toEqual({ attemptId, seq: 0 });
  });

  test("a ticket with its sets", () => {
    const ticket = {
      attemptId,
      accountId: terms.accountId,
      weight: 2,
      exclude: new Set([nodeId]),
      avoid: new Set<typeof nodeId>(),
      affinity: "conversation",
      isPatient: true,
      expiresAtMs: 9,
    };
    expect(ticketOfTrace(tracedTicket(ticket))).toEqual(ticket);
  });

  test("the task of an embedding has as many texts as were asked for", () => {
    const { input } = taskOfTrace({ ...terms, kind: "embedding", inputs: 3, dimensions: 1 });
    expect(input.kind === "embedding" ? input.texts : []).toHaveLength(3);
  });
});

test("an input that no book takes is none of a trace", () => {
  expect(leaseInputSchema.safeParse({ type: "cancel", attemptId, why: "?" }).success).toBe(false);
});
