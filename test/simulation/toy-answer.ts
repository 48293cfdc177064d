import {
  type AccountId,
  type AttemptId,
  accountIdSchema,
  attemptIdSchema,
  type KeyId,
  keyIdSchema,
  type NodeId,
  nodeIdSchema,
  type TaskId,
  taskIdSchema,
} from "../../core/ids.ts";

/** The model of the simulation has no weights: what it says is a function of the task and the position alone. */
const vocabulary = 26 * 1_024;
const contextTokens = 4_096;

/** The id of task number `number`, from which the toy model can read the number again. */
export const toyTaskId = (number: number): TaskId => taskIdSchema.parse(`task_${padded(number)}`);
export const toyAttemptId = (number: number): AttemptId => attemptIdSchema.parse(`attempt_${padded(number)}`);
export const toyNodeId = (number: number): NodeId => nodeIdSchema.parse(`node_${padded(number)}`);
export const toyAccountId = (number: number): AccountId => accountIdSchema.parse(padded(number));
export const toyKeyId = (number: number): KeyId => keyIdSchema.parse(`key_${padded(number)}`);

/** The number of {@link toyTaskId}. */
export function taskNumber(taskId: TaskId): number {
  return Number.parseInt(taskId.slice("task_".length), 36);
}

/** Token `index` of the answer to task `number`: any gap, repeat or continuation at a wrong place shows at once. */
export function tokenAt(number: number, index: number): number {
  return mixed(number, index) % vocabulary;
}

/** The text of one token: a letter. */
export function textOf(tokenId: number): string {
  return String.fromCharCode(97 + (tokenId % 26));
}

/** How an undisturbed answer ends: after `tokens` tokens, for this reason. */
export function answerEnd(number: number, maxTokens: number): { tokens: number; finishReason: "stop" | "length" } {
  const stopsAfter = 1 + (mixed(number, -1) % 240);
  return stopsAfter < maxTokens
    ? { tokens: stopsAfter, finishReason: "stop" }
    : { tokens: maxTokens, finishReason: "length" };
}

/** The vector of input `index`: one number, as little-endian float32 in base64. */
export function vectorAt(number: number, index: number): string {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(mixed(number, index));
  return bytes.toString("base64");
}

/** Tokens of a task's prompt; one prompt of 200 is longer than any node reads. */
export function promptTokensOf(number: number): number {
  const draw = mixed(number, -2);
  return draw % 200 === 0 ? contextTokens + 1 : 8 + (draw % 500);
}

/** What the toy model reads at most. */
export const toyContextTokens = contextTokens;

function padded(number: number): string {
  return number.toString(36).padStart(6, "0");
}

/** 32 well mixed bits of two numbers (the finaliser of MurmurHash3). */
function mixed(left: number, right: number): number {
  let bits = (Math.imul(left, 0x9e37_79b1) ^ Math.imul(right + 1, 0x85eb_ca6b)) >>> 0;
  bits = Math.imul(bits ^ (bits >>> 16), 0x85eb_ca6b);
  bits = Math.imul(bits ^ (bits >>> 13), 0xc2b2_ae35);
  return (bits ^ (bits >>> 16)) >>> 0;
}
