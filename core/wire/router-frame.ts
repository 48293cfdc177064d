import { z } from "zod";
import { attemptIdSchema, modelHashSchema, nodeIdSchema, taskIdSchema } from "../ids.ts";
import { limits } from "../limits.ts";
import { refusalCodes } from "../refusal.ts";
import { taskInputSchema } from "./task-input.ts";

/** The first frame on a socket: sign this nonce. */
export const challengeFrameSchema = z.strictObject({
  type: z.literal("challenge"),
  protocols: z.array(z.int().positive()).min(1).max(16),
  /** 32 random bytes, base64url. */
  nonce: z.string().length(43),
});

/** The hello was good: the node is in. */
export const welcomeFrameSchema = z.strictObject({
  type: z.literal("welcome"),
  protocol: z.int().positive(),
  nodeId: nodeIdSchema,
  /** Counts this node's sockets; a frame of an older one is worth nothing. */
  epoch: z.int().positive(),
  /** The operator account the node belongs to. */
  operator: z.string().max(32),
  /** Send a `heartbeat` this often; while tasks run, the second. */
  heartbeatMs: z.int().positive(),
  busyHeartbeatMs: z.int().positive(),
  /** Names this process's run of sockets: the next hello that brings it back keeps its attempts. */
  resumeToken: z.string().length(22),
  /**
   * Of the attempts that the hello said it holds, those that go on: send the ack, the pieces from `nextSeq`, and the
   * end if there is one. Null: hold it, its reader is still on the way and a `resume` follows. Any other held attempt
   * is over: stop and forget it.
   */
  leases: z
    .array(z.strictObject({ attemptId: attemptIdSchema, nextSeq: z.int().nonnegative().nullable() }))
    .max(limits.heldAttempts),
});

/** The router's no to a hello or to a frame; the socket closes after it. */
export const rejectFrameSchema = z.strictObject({
  type: z.literal("reject"),
  code: z.enum(refusalCodes),
  message: z.string().max(1_000),
});

/** Work, within the credits that the node gave. `ack` or `fail` is due within `ackMs`. */
export const taskFrameSchema = z.strictObject({
  type: z.literal("task"),
  taskId: taskIdSchema,
  attemptId: attemptIdSchema,
  model: modelHashSchema,
  input: taskInputSchema,
  /**
   * Token ids of this answer that other nodes made and the reader has: go on after them. They count for `maxTokens`,
   * penalties and stop sequences, not for this attempt's own counts.
   */
  continues: z.array(z.int().nonnegative()).max(limits.continuedTokens).optional(),
  /** The commit is to tell the prompt's token ids. */
  wantsPromptIds: z.literal(true).optional(),
});

/** Stop this attempt; the node answers with a `commit` of what it has (`cancelled`), or nothing if it was over. */
export const cancelFrameSchema = z.strictObject({ type: z.literal("cancel"), attemptId: attemptIdSchema });

/**
 * Its reader came back: send this attempt's ack again, then its pieces from `nextSeq`, and go on, to the end if that is
 * made. Everything until that ack belongs to the telling before and is skipped.
 */
export const resumeFrameSchema = z.strictObject({
  type: z.literal("resume"),
  attemptId: attemptIdSchema,
  nextSeq: z.int().nonnegative(),
});

/** Pieces before `nextSeq`, and everything of the attempts that are `over`, will not be asked for again. */
export const ackedFrameSchema = z.strictObject({
  type: z.literal("acked"),
  items: z
    .array(z.strictObject({ attemptId: attemptIdSchema, nextSeq: z.int().nonnegative() }))
    .max(limits.heldAttempts),
  over: z.array(attemptIdSchema).max(limits.heldAttempts),
});

/** Why this node gets work, or none; sent when it changes, for the miner to read. */
export const standingFrameSchema = z.strictObject({
  type: z.literal("standing"),
  model: modelHashSchema,
  kind: z.string().max(32),
  text: z.string().max(500),
});

/** Finish what runs and take no more. */
export const drainFrameSchema = z.strictObject({ type: z.literal("drain"), reason: z.string().max(200) });

/** The answer to a heartbeat; none for `heartbeatMs` after one was sent means that the socket is dead. */
export const heartbeatReplyFrameSchema = z.strictObject({ type: z.literal("heartbeat") });

/** Everything a router may send. */
export const routerFrameSchema = z.discriminatedUnion("type", [
  challengeFrameSchema,
  welcomeFrameSchema,
  rejectFrameSchema,
  taskFrameSchema,
  cancelFrameSchema,
  resumeFrameSchema,
  ackedFrameSchema,
  standingFrameSchema,
  drainFrameSchema,
  heartbeatReplyFrameSchema,
]);
export type RouterFrame = z.infer<typeof routerFrameSchema>;
export type TaskFrame = z.infer<typeof taskFrameSchema>;
