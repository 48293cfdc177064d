import type { z } from "zod";
import { limits } from "../limits.ts";

export type ParsedFrames<Frame> = { ok: true; frames: Frame[] } | { ok: false; problem: string };

/**
 * Parses one text message of the socket: one frame of the given union, or an array of at most
 * {@link limits.framesPerMessage} of them, in order. The problem of a bad one is a short text for the other side's
 * operator: which field, and what it should be; nothing of such a message counts. Messages over
 * {@link limits.frameBytes} UTF-16 units are refused unread.
 */
export function parseFrames<Schema extends z.ZodType>(
  schema: Schema,
  message: string | ArrayBuffer,
): ParsedFrames<z.output<Schema>> {
  if (typeof message !== "string") return { ok: false, problem: "frames are text, not binary" };
  if (message.length > limits.frameBytes) {
    return { ok: false, problem: `the message has ${message.length} characters and the limit is ${limits.frameBytes}` };
  }
  let json: unknown;
  try {
    json = JSON.parse(message);
  } catch {
    return { ok: false, problem: "the message is not JSON" };
  }
  const list: unknown[] = Array.isArray(json) ? json : [json];
  if (list.length === 0 || list.length > limits.framesPerMessage) {
    return { ok: false, problem: `the message has ${list.length} frames and may have 1 to ${limits.framesPerMessage}` };
  }
  const frames: z.output<Schema>[] = [];
  for (const item of list) {
    const parsed = schema.safeParse(item);
    if (!parsed.success) return { ok: false, problem: problemOf(parsed.error) };
    frames.push(parsed.data);
  }
  return { ok: true, frames };
}

function problemOf(error: z.ZodError): string {
  const issue = error.issues[0];
  const path = issue?.path.join(".") ?? "";
  return `${path === "" ? "frame" : path}: ${issue?.message ?? "not as the protocol has it"}`;
}
