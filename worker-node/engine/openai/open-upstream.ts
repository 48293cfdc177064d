import { z } from "zod";
import { countVocabulary } from "./count-vocabulary.ts";
import { embed, embeddingLength } from "./embedding-bounds.ts";
import { LlamaServer } from "./llama-server.ts";
import { modelMetaSchema, type Props, propsSchema } from "./llama-server-schemas.ts";
import type { Upstream } from "./upstream.ts";
import { UpstreamError, UpstreamRefusedError } from "./upstream-error.ts";
import type { UpstreamHttp } from "./upstream-http.ts";
import { tokenizedSchema, Vllm } from "./vllm.ts";

/** Questions at start: a server may still be loading the model. */
const questionMs = 60_000;

const modelSchema = z.object({
  id: z.string().min(1),
  root: z.string().nullish(),
  max_model_len: z.int().positive().nullish(),
  meta: z.unknown().optional(),
});
const modelsSchema = z.object({ data: z.array(modelSchema) });
type ListedModel = z.infer<typeof modelSchema>;
const versionSchema = z.object({ version: z.string() });

const whatWorks =
  "llama-server (build 4400 of December 2024 or later) and vLLM (0.10.2 or later) can be served from. " +
  "A GGUF that another program runs can be served without it: `cortensor-node start --model FILE.gguf`.";

/** The model to serve, as the upstream names it: `wanted`, or the only one there. Throws `UpstreamRefusedError`. */
async function findModel(http: UpstreamHttp, wanted: string | undefined): Promise<ListedModel> {
  const { data } = await listModels(http);
  const names = data.map(({ id }) => id).join(", ");
  const found = wanted === undefined ? data[0] : data.find(({ id }) => id === wanted);
  if (found === undefined || (wanted === undefined && data.length > 1)) {
    const what = wanted === undefined ? "has not one model but several or none" : `has no model ${wanted}`;
    throw new UpstreamRefusedError("no_such_model", `${http.root} ${what}: ${names}. Name one of them with --model.`);
  }
  return found;
}

/** A server that answers, what it serves, and the length of its vectors where that embeds. */
export interface OpenedUpstream {
  upstream: Upstream;
  model: string;
  dimensions: number | undefined;
}

/**
 * Finds out which server answers there, and what of it nodes need: its models, their context, and how prompts are
 * counted. Throws {@link UpstreamRefusedError} where it cannot be served from.
 */
export async function openUpstream(
  http: UpstreamHttp,
  { model: wanted }: { model: string | undefined },
): Promise<OpenedUpstream> {
  const listed = await findModel(http, wanted);
  const model = listed.id;
  const props = await unlessMissing(() => http.json("/props", { schema: propsSchema, timeoutMs: questionMs }));
  if (props !== undefined) {
    const upstream = openLlamaServer(http, listed, props);
    return { upstream, model, dimensions: await embeddingLength(http, model) };
  }
  const asked = { body: { model, prompt: "hello" }, schema: tokenizedSchema, timeoutMs: questionMs };
  const tokenized = await unlessMissing(() => http.json("/tokenize", asked));
  if (tokenized === undefined) throw noPromptCounts(http);
  const dimensions = await embeddingLength(http, model);
  const known = Math.max(0, ...tokenized.tokens);
  const read = (tokenId: number) =>
    dimensions === undefined ? complete(http, { model, tokenId }) : embed(http, { model, input: [[tokenId]] });
  const vocabularyTokens = await countVocabulary({ known, read });
  const versioned = () => http.json("/version", { schema: versionSchema, timeoutMs: questionMs });
  const { version } = (await unlessMissing(versioned)) ?? { version: "of an unknown version" };
  const contextTokens = tokenized.max_model_len;
  const root = listed.root ?? model;
  return { upstream: new Vllm({ http, model, root, version, contextTokens, vocabularyTokens }), model, dimensions };
}

function openLlamaServer(http: UpstreamHttp, listed: ListedModel, props: Props): Upstream {
  const meta = modelMetaSchema.safeParse(listed.meta).data;
  if (meta !== undefined) return new LlamaServer({ http, props, meta });
  const message = `llama-server at ${http.root} does not describe ${listed.id}; update it. ${whatWorks}`;
  throw new UpstreamRefusedError("no_prompt_counts", message);
}

function complete(http: UpstreamHttp, { model, tokenId }: { model: string; tokenId: number }): Promise<unknown> {
  const body = { model, prompt: [tokenId], max_tokens: 1 };
  return http.json("/v1/completions", { body, schema: z.unknown(), timeoutMs: questionMs });
}

function noPromptCounts(http: UpstreamHttp): UpstreamRefusedError {
  const message =
    `The server at ${http.root} has no /tokenize, so prompts cannot be counted before they are run ` +
    `(Ollama and most gateways have none). ${whatWorks}`;
  return new UpstreamRefusedError("no_prompt_counts", message);
}

/** `undefined` where the upstream has no such path, or means something else by it. */
async function unlessMissing<T>(action: () => Promise<T>): Promise<T | undefined> {
  try {
    return await action();
  } catch (error) {
    if (error instanceof UpstreamError && error.status !== 401 && error.status !== 403) return undefined;
    throw error;
  }
}

async function listModels(http: UpstreamHttp): Promise<z.infer<typeof modelsSchema>> {
  try {
    return await http.json("/v1/models", { schema: modelsSchema, timeoutMs: questionMs });
  } catch (cause) {
    if (!(cause instanceof UpstreamError)) throw cause;
    const { status, message } = cause;
    if (status === 401 || status === 403) {
      const text = `${http.root} wants a key (${message}). Give it with --upstream-key or CORTENSOR_UPSTREAM_KEY.`;
      throw new UpstreamRefusedError("unauthorized", text, { cause });
    }
    const isThere = status !== undefined;
    const text = isThere
      ? `${http.root} is no OpenAI-compatible server: ${message}. Give --upstream as http://127.0.0.1:8080/v1.`
      : `${http.root} cannot be used: ${message}. Start the server first, or check --upstream.`;
    throw new UpstreamRefusedError(isThere ? "not_openai" : "unreachable", text, { cause });
  }
}
