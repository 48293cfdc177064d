import type { z } from "zod";
import { limits } from "../limits.ts";

export type ParsedFrame<Frame> = { ok: true; frame: Frame } | { ok: false; problem: string };

/**
 * Parses one text message of the socket into a frame of the given union. The problem of a bad one is a short text for
 * the other side's operator: which field, and what it should be. Messages over {@link limits.frameBytes} UTF-16 units
 * are refused unread.
 */
export function parseFrame<Schema extends z.ZodType>(
  schema: Schema,
  message: string | ArrayBuffer,
): ParsedFrame<z.output<Schema>> {
  if (typeof message !== "string") return { ok: false, problem: "frames are text, not binary" };
  if (message.length > limits.frameBytes) {
    return { ok: false, problem: `the frame has ${message.length} characters and the limit is ${limits.frameBytes}` };
  }
  let json: unknown;
  try {
    json = JSON.parse(message);
  } catch {
    return { ok: false, problem: "the frame is not JSON" };
  }
  const parsed = schema.safeParse(json);
  if (parsed.success) return { ok: true, frame: parsed.data };
  const issue = parsed.error.issues[0];
  const path = issue?.path.join(".") ?? "";
  return { ok: false, problem: `${path === "" ? "frame" : path}: ${issue?.message ?? "not as the protocol has it"}` };
}
