import { limits } from "../core/limits.ts";
import { Refusal } from "../core/refusal.ts";

/**
 * A request's body as JSON of unknown shape. Refuses by name: `request_too_large` past {@link limits.bodyBytes} (read
 * no further than that), `invalid_utf8`, `invalid_json`.
 */
export async function readJson(request: Request): Promise<unknown> {
  const text = await readText(request);
  try {
    return JSON.parse(text);
  } catch (cause) {
    const position = cause instanceof Error ? cause.message.replace(/^.*?(?= at position|$)/s, "").trim() : "";
    throw new Refusal({
      code: "invalid_json",
      message: `The body is not valid JSON${position === "" ? "" : ` (${position})`}. Send one JSON object.`,
      cause,
    });
  }
}

/** Decodes whole bodies only: between two of them it holds nothing. */
const wholeDecoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: false });

async function readText(request: Request): Promise<string> {
  const declaredBytes = Number(request.headers.get("content-length") ?? 0);
  if (declaredBytes > limits.bodyBytes) throw tooLarge(declaredBytes);
  // HTTP ends a body at its declared length, so one that is short enough need not be counted piece by piece.
  const body = declaredBytes > 0 ? await request.arrayBuffer() : await readCounted(request);
  if (body.byteLength > limits.bodyBytes) throw tooLarge(body.byteLength);
  try {
    return wholeDecoder.decode(body);
  } catch (cause) {
    if (!(cause instanceof TypeError)) throw cause;
    throw new Refusal({
      code: "invalid_utf8",
      message: "The body is not valid UTF-8. Encode the JSON as UTF-8.",
      cause,
    });
  }
}

/** A body whose length nobody has declared, up to the limit. What is left unread stays readable, to be drained. */
async function readCounted(request: Request): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let sizeBytes = 0;
  for await (const chunk of request.body?.values({ preventCancel: true }) ?? []) {
    sizeBytes += chunk.byteLength;
    if (sizeBytes > limits.bodyBytes) throw tooLarge(sizeBytes);
    chunks.push(chunk);
  }
  const body = new Uint8Array(sizeBytes);
  let offset = 0;
  for (const chunk of chunks) {
    body.set(chunk, offset);
    offset += chunk.byteLength;
  }
  return body;
}

function tooLarge(sizeBytes: number): Refusal {
  return new Refusal({
    code: "request_too_large",
    message: `The body has ${sizeBytes} bytes or more and the limit is ${limits.bodyBytes}. Send less at once.`,
  });
}
