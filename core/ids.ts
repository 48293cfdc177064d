import { z } from "zod";

/** Lower-case base32 without the letters that are read as digits (Crockford's alphabet); 5 bits a character. */
const alphabet = "0123456789abcdefghjkmnpqrstvwxyz";

/** The prefix says what an id names; the rest is {@link alphabet}. */
const prefixedId = <const Prefix extends string, const Brand extends string>(prefix: Prefix, _brand: Brand) =>
  z
    .string()
    .regex(new RegExp(`^${prefix}_[0-9a-z_]{4,80}$`))
    .brand<Brand>();

export const taskIdSchema = prefixedId("task", "TaskId");
export const attemptIdSchema = prefixedId("attempt", "AttemptId");
export const nodeIdSchema = prefixedId("node", "NodeId");
export const keyIdSchema = prefixedId("key", "KeyId");
export const inviteIdSchema = prefixedId("invite", "InviteId");
/** Stands in keys and invites (`sk-<account>-<secret>`), so it has no separator of its own. */
export const accountIdSchema = z
  .string()
  .regex(/^[0-9a-z]{4,32}$/, "must be an account id: 4 to 32 lower-case letters and digits")
  .brand<"AccountId">();
/** Whose the network's own tasks are, as checks and what validators make anew are: nobody's who is billed. */
export const networkAccountId = accountIdSchema.parse("network");
/** SHA-256 of a model file, lower-case hex, 64 characters: what a pool serves. */
export const modelHashSchema = z
  .string()
  .regex(/^[0-9a-f]{64}$/)
  .brand<"ModelHash">();

export type TaskId = z.infer<typeof taskIdSchema>;
/** Names one attempt of a task, and with it the lease a node holds while it works on it. */
export type AttemptId = z.infer<typeof attemptIdSchema>;
export type NodeId = z.infer<typeof nodeIdSchema>;
export type KeyId = z.infer<typeof keyIdSchema>;
export type InviteId = z.infer<typeof inviteIdSchema>;
export type AccountId = z.infer<typeof accountIdSchema>;
export type ModelHash = z.infer<typeof modelHashSchema>;

/** `length` characters of {@link alphabet} from the platform's random source; 5 bits each. */
export function randomText(length: number): string {
  return base32(randomBytes(Math.ceil((length * 5) / 8))).slice(0, length);
}

/** Drawn from the platform a kilobyte at a time: a draw for each id costs more than the id. Each byte is used once. */
const drawn = new Uint8Array(1_024);
let used = drawn.length;

function randomBytes(count: number): Uint8Array {
  if (count > drawn.length) return crypto.getRandomValues(new Uint8Array(count));
  if (used + count > drawn.length) {
    crypto.getRandomValues(drawn);
    used = 0;
  }
  used += count;
  return drawn.subarray(used - count, used);
}

/** Bytes as lower-case base32 ({@link alphabet}), `ceil(bytes × 8 / 5)` characters, no padding. */
export function base32(bytes: Uint8Array): string {
  let text = "";
  let bits = 0;
  let value = 0;
  for (const byte of bytes) {
    value = (value << 8) | byte;
    bits += 8;
    while (bits >= 5) {
      text += alphabet[(value >>> (bits - 5)) & 31];
      bits -= 5;
    }
    value &= (1 << bits) - 1;
  }
  return bits > 0 ? text + alphabet[(value << (5 - bits)) & 31] : text;
}

/** A fresh task id: 26 random characters, 130 bits. */
export const newTaskId = (): TaskId => taskIdSchema.parse(`task_${randomText(26)}`);
/** A fresh attempt id: 26 random characters, 130 bits. */
export const newAttemptId = (): AttemptId => attemptIdSchema.parse(`attempt_${randomText(26)}`);
/** A fresh account id: 12 random characters, 60 bits. */
export const newAccountId = (): AccountId => accountIdSchema.parse(randomText(12));
