import { embeddingsSchema } from "./openai-embedding-engine.ts";
import { UpstreamError, UpstreamRefusedError } from "./upstream-error.ts";
import type { UpstreamHttp } from "./upstream-http.ts";

/** A first text may wait for the model to be loaded. */
const embedMs = 120_000;

/** A model that reads less is of no use to anybody. */
const leastTokens = 32;

/** Length of the upstream's vectors; `undefined` where it is no server of an embedding model. */
export async function embeddingLength(http: UpstreamHttp, model: string): Promise<number | undefined> {
  try {
    return await embed(http, { model, input: ["hello"] });
  } catch (error) {
    if (error instanceof UpstreamError && error.status !== undefined) return undefined;
    throw error;
  }
}

/** Embeds ids, to see whether they are taken. */
export function embed(http: UpstreamHttp, body: { model: string; input: unknown }): Promise<number> {
  const asked = { body, schema: embeddingsSchema, timeoutMs: embedMs };
  return http.json("/v1/embeddings", asked).then(({ data }) => data[0]?.embedding.length ?? 0);
}

/**
 * The longest text, in tokens, that the upstream embeds whole: at most `mostTokens`, found by trying and halving.
 * llama-server reads a text in one batch (`-ub`, 512 unless given) whatever its context is.
 */
export async function longestText(
  http: UpstreamHttp,
  { model, tokenId, mostTokens }: { model: string; tokenId: number; mostTokens: number },
): Promise<number> {
  for (let tokens = mostTokens; tokens >= leastTokens; tokens = Math.floor(tokens / 2)) {
    try {
      await embed(http, { model, input: [new Array<number>(tokens).fill(tokenId)] });
      return tokens;
    } catch (error) {
      if (!(error instanceof UpstreamError) || error.status === undefined) throw error;
    }
  }
  const message = `${http.root} embeds no text of ${leastTokens} tokens. Give llama-server a larger batch (-b, -ub).`;
  throw new UpstreamRefusedError("no_embeddings", message);
}
