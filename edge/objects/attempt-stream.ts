import type { AttemptEvent } from "../../core/lease/attempt-event.ts";

const encoder = new TextEncoder();

/** Events as lines of bytes, one JSON object each. */
export function encodeAttemptEvents(events: readonly AttemptEvent[]): Uint8Array {
  return encoder.encode(events.map((event) => `${JSON.stringify(event)}\n`).join(""));
}
