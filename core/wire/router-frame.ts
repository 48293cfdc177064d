import { z } from "zod";
import { attemptIdSchema, modelHashSchema, nodeIdSchema, taskIdSchema } from "../ids.ts";
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
  /** Send a `heartbeat` this often. */
  heartbeatMs: z.int().positive(),
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
});

/** Stop this attempt; the node answers with a `commit` of what it has (`cancelled`), or nothing if it was over. */
export const cancelFrameSchema = z.strictObject({ type: z.literal("cancel"), attemptId: attemptIdSchema });

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
  drainFrameSchema,
  heartbeatReplyFrameSchema,
]);
export type RouterFrame = z.infer<typeof routerFrameSchema>;
export type TaskFrame = z.infer<typeof taskFrameSchema>;
