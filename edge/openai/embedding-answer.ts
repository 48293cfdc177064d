import { Refusal } from "../../core/refusal.ts";
import type { ServedModel } from "../objects/status-object.ts";
import type { Answering } from "../trust/trusted-run.ts";
import type { EmbeddingOrder } from "./embedding-request.ts";

/** The vectors as OpenAI's `list` of `embedding` objects, in the order of the input. */
export async function embeddingAnswer(
  run: Answering,
  { model, order, headers }: { model: ServedModel; order: EmbeddingOrder; headers: Readonly<Record<string, string>> },
): Promise<Response> {
  const vectors = new Map<number, string>();
  for (let parts = await run.next(); parts.length > 0; parts = await run.next()) {
    for (const part of parts) {
      if (part.type === "restart") vectors.clear();
      else if (part.type === "deliverVectors") {
        for (const { index, float32 } of part.vectors) vectors.set(index, float32);
      } else if (part.type === "end") {
        const body = {
          object: "list",
          model: model.id,
          data: order.input.texts.map((_text, index) => ({
            object: "embedding",
            index,
            embedding: encoded(vectors.get(index), order.encoding),
          })),
          usage: { prompt_tokens: part.promptTokens, total_tokens: part.promptTokens },
          network: run.network,
        };
        return Response.json(body, { headers });
      }
    }
  }
  // The caller is gone: nobody reads this.
  throw new Refusal({ code: "stream_broken", message: "The request was cancelled." });
}

/** The wire's little-endian float32 in base64 is OpenAI's own `base64` format. */
function encoded(float32: string | undefined, encoding: EmbeddingOrder["encoding"]): string | number[] {
  if (float32 === undefined) throw new Error("a committed embedding lacks a vector");
  if (encoding === "base64") return float32;
  const bytes = Uint8Array.from(atob(float32), (character) => character.charCodeAt(0));
  return [...new Float32Array(bytes.buffer)];
}
