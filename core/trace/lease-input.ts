import { z } from "zod";
import { attemptIdSchema } from "../ids.ts";
import { keptLeaseSchema, type LeaseTerms, leaseTermsSchema } from "../lease/lease.ts";
import { taskRecordSchema } from "../record/entry.ts";
import {
  ackFrameSchema,
  type CommitFrame,
  commitFrameSchema,
  type DeltaItem,
  failFrameSchema,
  heldAttemptSchema,
} from "../wire/node-frame.ts";
import type { TaskFrame } from "../wire/router-frame.ts";

const timeMs = z.int();

/** A piece without its content: that is its caller's alone. */
const tracedPieceSchema = z.strictObject({
  attemptId: attemptIdSchema,
  seq: z.int().nonnegative(),
  tokens: z.int().nonnegative(),
  /** For each vector its input and its size in bytes. */
  vectors: z.array(z.tuple([z.int().nonnegative(), z.int().nonnegative()])).optional(),
  isReport: z.literal(true).optional(),
});

/** The end of an answer without the stop sequence that ended it: its caller wrote that. */
const tracedCommitSchema = commitFrameSchema.omit({ stopSequence: true, promptIds: true });

/**
 * Everything that a lease book is told, a call each, named for the method. No prompt and no answer is in it: what a
 * node's object was told can be handed to whoever looks for a fault.
 */
export const leaseInputSchema = z.discriminatedUnion("type", [
  z.strictObject({
    type: z.literal("recover"),
    hasSocket: z.boolean(),
    open: z.array(keptLeaseSchema),
    ended: z.array(z.strictObject({ attemptId: attemptIdSchema, record: taskRecordSchema })),
  }),
  z.strictObject({ type: z.literal("open"), terms: leaseTermsSchema }),
  z.strictObject({
    type: z.literal("attach"),
    attemptId: attemptIdSchema,
    nextSeq: z.int().nonnegative(),
    completionTokens: z.int().nonnegative(),
    vectors: z.array(z.int().nonnegative()),
  }),
  z.strictObject({ type: z.literal("detach"), attemptId: attemptIdSchema }),
  z.strictObject({ type: z.literal("cancel"), attemptId: attemptIdSchema }),
  ackFrameSchema,
  z.strictObject({ type: z.literal("delta"), piece: tracedPieceSchema }),
  tracedCommitSchema,
  failFrameSchema,
  z.strictObject({ type: z.literal("socketLost"), lostAtMs: timeMs, reason: z.string() }),
  z.strictObject({ type: z.literal("welcome"), holding: z.array(heldAttemptSchema) }),
  z.strictObject({ type: z.literal("tick"), lastSignMs: timeMs, behind: z.array(attemptIdSchema) }),
]);
export type LeaseInput = z.infer<typeof leaseInputSchema>;
export type TracedPiece = z.infer<typeof tracedPieceSchema>;

/** What a trace keeps of a piece. */
export function tracedPiece({ attemptId, seq, tokenIds, vectors, report }: DeltaItem): TracedPiece {
  return {
    attemptId,
    seq,
    tokens: tokenIds?.length ?? 0,
    ...(vectors === undefined ? {} : { vectors: vectors.map(({ index, float32 }) => [index, sizeOf(float32)]) }),
    ...(report === undefined ? {} : { isReport: true }),
  };
}

/** What a trace keeps of an answer's end. */
export function tracedCommit({
  stopSequence: _,
  promptIds: __,
  ...counts
}: CommitFrame): z.infer<typeof tracedCommitSchema> {
  return counts;
}

/** A piece that counts as the traced one did; its tokens and numbers are zeros. */
export function pieceOfTrace({ attemptId, seq, tokens, vectors, isReport }: TracedPiece): DeltaItem {
  return {
    attemptId,
    seq,
    ...(tokens === 0 ? {} : { tokenIds: new Array<number>(tokens).fill(0) }),
    ...(vectors === undefined
      ? {}
      : { vectors: vectors.map(([index, sizeBytes]) => ({ index, float32: zeros(sizeBytes) })) }),
    ...(isReport === undefined ? {} : { report: { findings: [], isTextOfTokens: true, isEndRight: true } }),
  };
}

/** A task frame of these terms; its prompt is a placeholder. */
export function taskOfTrace({ taskId, attemptId, model, kind, inputs }: LeaseTerms): TaskFrame {
  const input: TaskFrame["input"] =
    kind !== "embedding"
      ? {
          kind: "chat",
          messages: [{ role: "user", content: "(not in the trace)" }],
          sampling: {
            temperature: 0,
            topP: 1,
            frequencyPenalty: 0,
            presencePenalty: 0,
            seed: 0,
            stop: [],
            maxTokens: null,
          },
        }
      : { kind, texts: new Array<string>(Math.max(1, inputs)).fill("(not in the trace)") };
  return { type: "task", taskId, attemptId, model, input };
}

/** Bytes that padded base64 stands for (RFC 4648 §4). */
function sizeOf(base64: string): number {
  return (base64.length / 4) * 3 - (base64.endsWith("==") ? 2 : base64.endsWith("=") ? 1 : 0);
}

/** So many bytes of zero, as padded base64. */
function zeros(sizeBytes: number): string {
  const rest = ["", "AA==", "AAA="][sizeBytes % 3] ?? "";
  return "AAAA".repeat(Math.floor(sizeBytes / 3)) + rest;
}
