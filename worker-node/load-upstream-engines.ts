import { candidateTokens } from "../core/decoding/ranked-candidates.ts";
import type { Checks, ModelCard } from "../core/model/model-card.ts";
import type { Engine } from "./engine/engine.ts";
import { longestText } from "./engine/openai/embedding-bounds.ts";
import { type OpenedUpstream, openUpstream } from "./engine/openai/open-upstream.ts";
import { OpenAiChatEngine } from "./engine/openai/openai-chat-engine.ts";
import { OpenAiEmbeddingEngine } from "./engine/openai/openai-embedding-engine.ts";
import { probeFeatures } from "./engine/openai/probe-features.ts";
import type { UpstreamFeatures } from "./engine/openai/upstream.ts";
import { UpstreamRefusedError } from "./engine/openai/upstream-error.ts";
import { UpstreamHttp } from "./engine/openai/upstream-http.ts";
import { identifyModel } from "./engine/openai/upstream-identity.ts";
import type { LoadedModel } from "./load-engines.ts";

/** A server of models that runs already, as the operator names it. */
export interface UpstreamAddress {
  url: URL;
  key: string | undefined;
  /** The file that it has loaded; its hash is the model's identity. */
  modelFile: string | undefined;
}

export interface UpstreamOptions extends UpstreamAddress {
  /** As the upstream names them; empty: the only one that it has. */
  models: readonly string[];
  /** Upper bounds: an upstream that does less at once, or reads less, serves less. */
  slots: number;
  contextTokens: number;
  cacheDir: string;
  out: (line: string) => void;
}

/**
 * Opens the upstream's models, tries what they can do, and measures each. What they cannot do goes to `out`. Throws
 * `UpstreamRefusedError` where the upstream cannot be served from, `ModelError` where the file cannot be read, and
 * `UpstreamError` where it fails meanwhile.
 */
export async function loadUpstreamEngines(
  options: UpstreamOptions,
): Promise<{ software: string; models: LoadedModel[] }> {
  if (options.modelFile !== undefined && options.models.length > 1) {
    throw new UpstreamRefusedError("another_file", "--model-file is one model's; give one --model with it.");
  }
  const http = new UpstreamHttp(options);
  const models: LoadedModel[] = [];
  let software = "";
  for (const name of options.models.length === 0 ? [undefined] : options.models) {
    const opened = await openUpstream(http, { model: name });
    software = opened.upstream.software;
    models.push(await loadModel({ http, opened, options }));
  }
  return { software, models };
}

async function loadModel({
  http,
  opened,
  options,
}: {
  http: UpstreamHttp;
  opened: OpenedUpstream;
  options: UpstreamOptions;
}): Promise<LoadedModel> {
  const { upstream, model, dimensions } = opened;
  const { modelFile, cacheDir } = options;
  const kind = dimensions === undefined ? "chat" : "embedding";
  const identity = await identifyModel({ upstream, model, kind, modelFile, cacheDir });
  const contextTokens = Math.min(options.contextTokens, upstream.contextTokens);
  const { engine, chooses } =
    dimensions === undefined
      ? await openChat({ opened, contextTokens, out: options.out })
      : { engine: await openEmbedding({ http, opened, contextTokens, dimensions }), chooses: {} };
  const tokensPerSecond = Math.round((await engine.measureTokensPerSecond()) * 10) / 10;
  const card: ModelCard = {
    ...identity,
    kind,
    contextTokens: engine.contextTokens,
    ...(dimensions === undefined ? {} : { dimensions }),
    slots: Math.min(options.slots, upstream.slots ?? options.slots),
    tokensPerSecond,
    ...chooses,
  };
  return { engine, card };
}

async function openChat({
  opened: { upstream, model },
  contextTokens,
  out,
}: {
  opened: OpenedUpstream;
  contextTokens: number;
  out: (line: string) => void;
}): Promise<{ engine: Engine; chooses: Pick<ModelCard, "decoding" | "checks"> }> {
  const features = await probeFeatures(upstream);
  const missing = [
    ...(features.format ? [] : ["response_format"]),
    ...(features.logitBias ? [] : ["logit_bias"]),
    ...(features.logprobs ? [] : ["logprobs"]),
    "tools",
  ];
  out(`${model} of ${upstream.software}: refuses tasks with ${missing.join(", ")}`);
  out(`${model} of ${upstream.software}: ${checkWords(features)}`);
  const engine = new OpenAiChatEngine({ upstream, features, contextTokens });
  return { engine, chooses: { decoding: "own", checks: checksOf(features) } };
}

/** Who reads fewer tokens than a draw may choose among could not be tested by an altered copy, and is not asked. */
function checksOf({ readTop }: UpstreamFeatures): Checks {
  return readTop >= candidateTokens ? "plain" : "none";
}

/** What a node of this upstream does where it is asked to check an answer of another node's. */
function checkWords(features: UpstreamFeatures): string {
  if (features.readTop === 0) return "cannot check others' answers";
  if (checksOf(features) === "plain") return "checks others' answers";
  return "could check others' answers at temperature 0 alone and is not asked to; start vLLM with --max-logprobs 96";
}

async function openEmbedding({
  http,
  opened: { upstream, model },
  contextTokens,
  dimensions,
}: {
  http: UpstreamHttp;
  opened: OpenedUpstream;
  contextTokens: number;
  dimensions: number;
}): Promise<Engine> {
  const [, tokenId = 0] = await upstream.tokenize("hello");
  const longest = await longestText(http, { model, tokenId, mostTokens: contextTokens });
  return new OpenAiEmbeddingEngine({ http, model, tokenizer: upstream, contextTokens: longest, dimensions });
}
