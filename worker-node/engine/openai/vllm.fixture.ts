import { z } from "zod";
import { UnsupportedTaskError } from "../unsupported-task-error.ts";
import type { UpstreamModel } from "./upstream-model.fixture.ts";
import { type Exchange, embeddings, type Routes, samplingFields, samplingOf } from "./upstream-server.fixture.ts";

const completionSchema = z.object({
  ...samplingFields,
  seed: z.int().default(0),
  prompt: z.array(z.int()),
  max_tokens: z.int().default(16),
  stream: z.boolean().default(false),
  return_token_ids: z.boolean().default(false),
  logit_bias: z.record(z.string(), z.number()).optional(),
  prompt_logprobs: z.int().nonnegative().optional(),
  structured_outputs: z.object({ grammar: z.string() }).optional(),
});
type Asked = z.infer<typeof completionSchema>;

/**
 * vLLM's API as far as it is used, with its ways: text waits until its last character is whole, the token that ends an answer is
 * among the ids, and penalties count the answer alone. `hidesIds` is a version before `return_token_ids`, which it
 * passes over as any field that it does not know. `maxLogprobs` is its `--max-logprobs`.
 */
export function vllmRoutes({
  contextTokens,
  hidesIds = false,
  maxLogprobs = 20,
}: {
  contextTokens: number;
  hidesIds?: boolean;
  maxLogprobs?: number;
}): Routes {
  return {
    "/v1/models": () => ({
      data: [{ id: "org/Tiny", object: "model", root: "org/Tiny", max_model_len: contextTokens, owned_by: "vllm" }],
    }),
    "/version": () => ({ version: "0.11.0" }),
    "/tokenize": (body, { model }) => {
      const asked = z.object({ messages: z.unknown().optional(), prompt: z.string().optional() }).parse(body);
      const tokens = model.tokenize(asked.prompt ?? model.render(asked.messages));
      return { tokens, count: tokens.length, max_model_len: contextTokens };
    },
    "/detokenize": (body, { model }) => ({
      prompt: model.detokenize(z.object({ tokens: z.array(z.int()) }).parse(body).tokens),
    }),
    "/v1/embeddings": embeddings,
    "/v1/completions": (body, exchange) =>
      exchange.work(() => complete(completionSchema.parse(body), { exchange, hidesIds, maxLogprobs })),
  };
}

async function complete(
  asked: Asked,
  { exchange, hidesIds, maxLogprobs }: { exchange: Exchange; hidesIds: boolean; maxLogprobs: number },
): Promise<unknown> {
  const { model, signal } = exchange;
  const { prompt_logprobs: wanted } = asked;
  if (wanted !== undefined && wanted > maxLogprobs) {
    const message = `Requested prompt logprobs of ${wanted}, which is greater than max allowed: ${maxLogprobs}`;
    throw new UnsupportedTaskError(message);
  }
  const event = (tokenIds: readonly number[], text: string, finish: string | null) => {
    const ids = hidesIds || !asked.return_token_ids ? {} : { token_ids: tokenIds };
    exchange.event({ choices: [{ index: 0, text, finish_reason: finish, ...ids }] });
  };
  const bias = asked.logit_bias;
  // Its decoder reads the prompt too, so that a character may begin there.
  const made = [...asked.prompt];
  let shown = model.detokenize(made).replace(/\ufffd$/, "");
  const sampling = samplingOf(asked, {
    maxTokens: asked.max_tokens,
    logitBias: bias && Object.entries(bias).map(([id, value]): [number, number] => [Number(id), value]),
    logprobs: undefined,
  });
  const ending = await model.generate({
    ...{ tokenIds: asked.prompt, sampling, grammar: asked.structured_outputs?.grammar, penalizesPrompt: false, signal },
    onPiece: ({ tokenIds }) => {
      made.push(...tokenIds);
      const text = model.detokenize(made);
      const fresh = text.endsWith("\ufffd") ? "" : text.slice(shown.length);
      shown += fresh;
      if (asked.stream) event(tokenIds, fresh, null);
    },
  });
  if (!asked.stream) {
    const told = wanted === undefined ? null : await promptLogprobs(asked.prompt, { model, wanted });
    return { choices: [{ index: 0, text: "", finish_reason: "length", prompt_logprobs: told }] };
  }
  event(ending === "eos" ? [model.endId] : [], "", ending === "eos" ? "stop" : "length");
  exchange.event("[DONE]");
  exchange.end();
  return undefined;
}

/** As vLLM writes them: an object by token id, the prompt's own token added where it is not among the likeliest. */
async function promptLogprobs(
  tokenIds: readonly number[],
  { model, wanted }: { model: UpstreamModel; wanted: number },
) {
  const places = await model.readPrompt(tokenIds);
  return places.map((place, index) => {
    if (place === undefined) return null;
    const ranked = place.map(([id, logprob], rank) => ({ id, logprob, rank: rank + 1 }));
    const told = ranked.filter(({ id, rank }) => rank <= wanted || id === tokenIds[index]);
    return Object.fromEntries(told.map(({ id, ...rest }) => [id, { ...rest, decoded_token: "" }]));
  });
}
