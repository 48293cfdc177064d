import { z } from "zod";
import type { Logprob } from "../../../core/wire/node-frame.ts";
import type { ChatPiece } from "../engine.ts";
import type { UpstreamModel } from "./upstream-model.fixture.ts";
import { type Exchange, embeddings, type Routes, samplingFields, samplingOf } from "./upstream-server.fixture.ts";

const completionSchema = z.object({
  ...samplingFields,
  prompt: z.array(z.int()),
  n_predict: z.int(),
  stream: z.boolean(),
  return_tokens: z.literal(true),
  /** Builds of 2026 take no -1 for all. */
  repeat_last_n: z.int().nonnegative(),
  logit_bias: z.array(z.tuple([z.int(), z.number()])).optional(),
  n_probs: z.int().positive().optional(),
  grammar: z.string().optional(),
});
type Asked = z.infer<typeof completionSchema>;

/**
 * llama-server's own API as far as it is used, with its ways: ids of tokens that end within a character are missing from
 * a stream and counted all the same, the token that ends an answer is sent without text, and a prompt counts for
 * penalties. `hidesIds` is a build before `return_tokens`.
 */
export function llamaServerRoutes({
  slots,
  contextTokens,
  hidesIds = false,
}: {
  slots: number;
  contextTokens: number;
  hidesIds?: boolean;
}): Routes {
  return {
    "/v1/models": (_, { model }) => ({ data: [{ id: "tiny.gguf", object: "model", meta: metaOf(model) }] }),
    "/props": () => ({
      default_generation_settings: { n_ctx: contextTokens },
      total_slots: slots,
      build_info: "b6500-fixture",
      chat_template: "tiny",
    }),
    "/apply-template": (body, { model }) => ({
      prompt: model.render(z.object({ messages: z.unknown() }).parse(body).messages),
    }),
    "/tokenize": (body, { model }) => ({
      tokens: model.tokenize(z.object({ content: z.string() }).parse(body).content),
    }),
    "/detokenize": (body, { model }) => ({
      content: model.detokenize(z.object({ tokens: z.array(z.int()) }).parse(body).tokens),
    }),
    "/v1/embeddings": embeddings,
    "/completion": (body, exchange) =>
      exchange.work(() => {
        const asked = completionSchema.parse(body);
        return asked.stream ? stream(asked, { exchange, hidesIds }) : complete(asked, exchange);
      }),
  };
}

const metaOf = (model: UpstreamModel) => ({
  vocab_type: 2,
  n_vocab: model.vocabularyTokens,
  n_ctx_train: 4_096,
  n_embd: 64,
  n_params: 1_000_000,
  size: model.sizeBytes,
});

async function stream(asked: Asked, { exchange, hidesIds }: { exchange: Exchange; hidesIds: boolean }): Promise<void> {
  let predicted = 0;
  const event = (piece: { ids: readonly number[]; text: string; stop?: string; logprobs?: readonly Logprob[] }) =>
    exchange.event({
      index: 0,
      content: piece.text,
      ...(hidesIds ? {} : { tokens: piece.ids }),
      stop: piece.stop !== undefined,
      tokens_predicted: predicted,
      ...(piece.stop === undefined ? {} : { stop_type: piece.stop }),
      ...(piece.logprobs === undefined ? {} : { completion_probabilities: piece.logprobs.map(probabilityOf) }),
    });
  const ending = await generate(asked, exchange, ({ tokenIds, text, logprobs }) => {
    predicted += tokenIds.length;
    // The last one by length has what is left of a character; llama-server sends none of it.
    if (text !== "" && !text.endsWith("\ufffd"))
      event({ ids: tokenIds, text, ...(logprobs === undefined ? {} : { logprobs }) });
  });
  if (ending === "eos") {
    predicted += 1;
    event({ ids: [exchange.model.endId], text: "" });
  }
  event({ ids: [], text: "", stop: ending });
  exchange.end();
}

async function complete(asked: Asked, exchange: Exchange): Promise<unknown> {
  const tokens: number[] = [];
  const ending = await generate(asked, exchange, ({ tokenIds }) => void tokens.push(...tokenIds));
  if (ending === "eos") tokens.push(exchange.model.endId);
  const content = exchange.model.detokenize(tokens);
  return { content, tokens, stop: true, stop_type: ending, tokens_predicted: tokens.length };
}

function generate(asked: Asked, { model, signal }: Exchange, onPiece: (piece: ChatPiece) => void) {
  const { logit_bias: logitBias, n_probs } = asked;
  const logprobs = n_probs === undefined ? undefined : { top: n_probs };
  const sampling = samplingOf(asked, { maxTokens: asked.n_predict, logitBias, logprobs });
  return model.generate({
    ...{ tokenIds: asked.prompt, sampling, grammar: asked.grammar, penalizesPrompt: true },
    ...{ onPiece, signal },
  });
}

function probabilityOf({ top, ...chosen }: Logprob) {
  const of = ({ id, logprob, bytes }: Omit<Logprob, "top">) => ({
    id,
    logprob,
    bytes: [...Buffer.from(bytes, "base64")],
    token: Buffer.from(bytes, "base64").toString(),
  });
  return { ...of(chosen), top_logprobs: top.map(of) };
}
