import { z } from "zod";
import { commitmentSchema } from "../commitment/commitment.ts";
import { mostMargin } from "../decoding/claim-margin.ts";
import { attemptIdSchema, modelHashSchema, nodeIdSchema } from "../ids.ts";
import { limits } from "../limits.ts";
import { modelCardSchema } from "../model/model-card.ts";

const base64Url = z.string().regex(/^[A-Za-z0-9_-]*$/);

export const hardwareSchema = z.strictObject({
  platform: z.string().max(64),
  arch: z.string().max(32),
  cpuModel: z.string().max(200),
  cores: z.int().positive(),
  memoryBytes: z.int().positive(),
  gpu: z
    .strictObject({
      type: z.string().max(32),
      names: z.array(z.string().max(200)).max(64),
      vramBytes: z.int().nonnegative(),
    })
    .nullable(),
});
export type Hardware = z.infer<typeof hardwareSchema>;

/** An attempt that outlived its socket, as the node holds it. */
export const heldAttemptSchema = z.strictObject({
  attemptId: attemptIdSchema,
  /** The oldest piece it can send again, and the number of pieces made so far. */
  firstSeq: z.int().nonnegative(),
  nextSeq: z.int().nonnegative(),
  /** Tokens in all pieces made so far. */
  completionTokens: z.int().nonnegative(),
  /** True once its commit or fail is made. */
  isOver: z.boolean(),
  /** True where that end went out while there was a socket: the router may have it, and its reader too. */
  isEndSent: z.boolean(),
});
export type HeldAttempt = z.infer<typeof heldAttemptSchema>;

/** Who the node is and what it holds; answers `challenge`. */
export const helloFrameSchema = z.strictObject({
  type: z.literal("hello"),
  protocol: z.int().positive(),
  nodeId: nodeIdSchema,
  /** Ed25519, raw, base64url; its hash is the node's id. */
  publicKey: base64Url.length(43),
  /** Over the challenge's nonce, the node's id and the host as the node dialled it. */
  signature: base64Url.length(86),
  host: z.string().min(1).max(300),
  /** Needed once: the invite that makes the node an operator's own. */
  invite: z.string().max(200).optional(),
  /** What the operator calls this box. */
  name: z.string().min(1).max(100),
  software: z.string().max(100),
  engine: z.string().max(100),
  hardware: hardwareSchema,
  models: z.array(modelCardSchema).min(1).max(limits.modelsPerNode),
  /** From the same process as an earlier socket: that one's token, and what runs or is kept for it. */
  resume: z
    .strictObject({ token: z.string().max(64), holding: z.array(heldAttemptSchema).max(limits.heldAttempts) })
    .optional(),
});
export type HelloFrame = z.infer<typeof helloFrameSchema>;

/**
 * Room for work. `creditsTotal` counts all tasks of this model that the node has agreed to take on this socket, those
 * already sent to it included; so what is in flight is never counted twice, and the number only grows.
 */
export const pullFrameSchema = z.strictObject({
  type: z.literal("pull"),
  model: modelHashSchema,
  creditsTotal: z.int().nonnegative(),
});

/** The task is understood and its prompt fits; work begins. */
export const ackFrameSchema = z.strictObject({
  type: z.literal("ack"),
  attemptId: attemptIdSchema,
  promptTokens: z.int().nonnegative(),
});

/** A token and the natural logarithm of its probability. */
const tokenLogprobSchema = z.strictObject({
  id: z.int().nonnegative(),
  logprob: z.number().max(0),
  /** The token's bytes, base64; it may be a part of a character. */
  bytes: z.base64(),
});
/** Of each token that was chosen, with the likeliest in its place, most likely first. */
export const logprobSchema = tokenLogprobSchema.extend({
  top: z.array(tokenLogprobSchema).max(limits.topLogprobs),
});
export type Logprob = z.infer<typeof logprobSchema>;

/** How a claimed token stands beside the choice that the checking node would have made. */
export const findingSchema = z.strictObject({
  position: z.int().nonnegative(),
  /** In logits; `core/decoding/claim-margin.ts` defines it. */
  margin: z.number().min(0).max(mostMargin),
  rank: z.int().nonnegative(),
});
export type Finding = z.infer<typeof findingSchema>;

/** What a check came to. */
export const checkReportSchema = z.strictObject({
  /** One for each position that was asked for, in the same order. */
  findings: z.array(findingSchema).max(limits.continuedTokens),
  /** Whether the ids spell the text that the caller was given. */
  isTextOfTokens: z.boolean(),
  /** Whether an answer of these ids ends where this one did: at a stop sequence, at `maxTokens`, at the context's end. */
  isEndRight: z.boolean(),
});
export type CheckReport = z.infer<typeof checkReportSchema>;

/** A piece of one answer. `seq` counts an attempt's pieces from 0 without gaps. */
export const deltaItemSchema = z.strictObject({
  attemptId: attemptIdSchema,
  seq: z.int().nonnegative(),
  /** Text that the tokens complete; empty while a character is half done. */
  text: z.string().max(limits.deltaCharacters).optional(),
  tokenIds: z.array(z.int().nonnegative()).max(4_096).optional(),
  /** One for each of `tokenIds`, where the task asks for them. */
  logprobs: z.array(logprobSchema).max(4_096).optional(),
  /** Embeddings: little-endian float32, base64. */
  vectors: z
    .array(z.strictObject({ index: z.int().nonnegative(), float32: z.base64() }))
    .max(limits.embeddingInputs)
    .optional(),
  /** Of a check: all of it, in one piece. */
  report: checkReportSchema.optional(),
});
export type DeltaItem = z.infer<typeof deltaItemSchema>;

/** Pieces of all answers under way, one frame a tick. */
export const deltaFrameSchema = z.strictObject({
  type: z.literal("delta"),
  items: z.array(deltaItemSchema).min(1).max(4_096),
});

/** The answer is whole (or, `cancelled`, what there is of it). */
export const commitFrameSchema = z.strictObject({
  type: z.literal("commit"),
  attemptId: attemptIdSchema,
  finishReason: z.enum(["stop", "length", "cancelled"]),
  /** The stop sequence that ended the answer, where one did. */
  stopSequence: z.string().max(limits.stopSequenceCharacters).optional(),
  promptTokens: z.int().nonnegative(),
  /** Equals the number of token ids in the attempt's deltas. */
  completionTokens: z.int().nonnegative(),
  /** What the node stands by from now on; every answer has one, a check has none. */
  commitment: commitmentSchema.optional(),
  /** The prompt as the node read it, where the task asks for evidence. */
  promptIds: z.array(z.int().nonnegative()).max(limits.promptTokens).optional(),
});
export type CommitFrame = z.infer<typeof commitFrameSchema>;

/** Why a node does not do a task. The first two are the task's fault and final; the others send it elsewhere. */
export const failReasonSchema = z.discriminatedUnion("code", [
  z.strictObject({
    code: z.literal("context_length_exceeded"),
    promptTokens: z.int().nonnegative(),
    contextTokens: z.int().positive(),
    inputIndex: z.int().nonnegative(),
  }),
  z.strictObject({
    code: z.literal("unsupported"),
    message: z.string().max(500),
    /** The field of the request that is at fault, in OpenAI's words, as `response_format`. */
    param: z.string().max(100).optional(),
  }),
  z.strictObject({ code: z.literal("draining") }),
  z.strictObject({ code: z.literal("unknown_model") }),
  z.strictObject({ code: z.literal("no_slot") }),
  z.strictObject({ code: z.literal("engine_error"), message: z.string().max(500) }),
  /** A `resume` asked for pieces that are no longer kept. */
  z.strictObject({ code: z.literal("lost_pieces") }),
]);
export type FailReason = z.infer<typeof failReasonSchema>;

export const failFrameSchema = z.strictObject({
  type: z.literal("fail"),
  attemptId: attemptIdSchema,
  reason: failReasonSchema,
});

/** A change of the node's mind: `draining` takes it out of its pools. */
export const statusFrameSchema = z.strictObject({
  type: z.literal("status"),
  state: z.enum(["active", "draining"]),
  running: z.int().nonnegative(),
});

/** Nothing runs any more; the node closes the socket after it. */
export const drainedFrameSchema = z.strictObject({ type: z.literal("drained") });

/**
 * Sent every `heartbeatMs`, and answered in kind. It must be exactly {@link heartbeatText}: the platform answers that
 * text by itself, so a heartbeat does not wake a sleeping object.
 */
export const heartbeatFrameSchema = z.strictObject({ type: z.literal("heartbeat") });

/** Everything a node may send. */
export const nodeFrameSchema = z.discriminatedUnion("type", [
  helloFrameSchema,
  pullFrameSchema,
  ackFrameSchema,
  deltaFrameSchema,
  commitFrameSchema,
  failFrameSchema,
  statusFrameSchema,
  drainedFrameSchema,
  heartbeatFrameSchema,
]);
export type NodeFrame = z.infer<typeof nodeFrameSchema>;
