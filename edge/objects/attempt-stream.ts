import { z } from "zod";
import { deltaItemSchema } from "../../core/wire/node-frame.ts";

/**
 * What a NodeObject's stream tells the Worker of one attempt: one JSON object a line. The last line is `committed` or
 * `failed`; a stream that ends without either was cut by a reset.
 */
export const attemptEventSchema = z.discriminatedUnion("type", [
  deltaItemSchema.omit({ attemptId: true, seq: true }).extend({ type: z.literal("delta") }),
  z.strictObject({
    type: z.literal("committed"),
    finishReason: z.enum(["stop", "length"]),
    promptTokens: z.int().nonnegative(),
    completionTokens: z.int().nonnegative(),
  }),
  z.strictObject({ type: z.literal("failed"), how: z.enum(["socketGone", "deadline", "refuse"]), reason: z.string() }),
]);
export type AttemptEvent = z.infer<typeof attemptEventSchema>;

const encoder = new TextEncoder();

/** One event as a line of bytes. */
export function encodeAttemptEvent(event: AttemptEvent): Uint8Array {
  return encoder.encode(`${JSON.stringify(event)}\n`);
}

/** The events of a NodeObject's stream, in order. Ends when the stream ends; throws what the stream throws. */
export async function* readAttemptEvents(stream: ReadableStream<Uint8Array>): AsyncGenerator<AttemptEvent> {
  let rest = "";
  for await (const text of stream.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + text).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) yield attemptEventSchema.parse(JSON.parse(line));
  }
}
