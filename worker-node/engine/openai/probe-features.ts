import { candidateTokens } from "../../../core/decoding/ranked-candidates.ts";
import type { Logprob } from "../../../core/wire/node-frame.ts";
import type { Sampling } from "../../../core/wire/task-input.ts";
import { schemaGrammar } from "../grammar/schema-grammar.ts";
import type { GenerateRequest, Upstream, UpstreamFeatures } from "./upstream.ts";
import { UpstreamError, UpstreamRefusedError } from "./upstream-error.ts";

/** What an answer that is held to a format must be: hardly any model says so by itself. */
export const probeSchema = { enum: ["zq"] };

const greedy: Sampling = {
  ...{ temperature: 0, topP: 1, frequencyPenalty: 0, presencePenalty: 0 },
  ...{ seed: 1, stop: [], maxTokens: null },
};

interface Tried {
  tokenIds: number[];
  text: string;
  logprobs: Logprob[];
}

/**
 * Tries what an upstream can do with a few short answers. Throws {@link UpstreamRefusedError} (`no_token_ids`) where it
 * does not stream an answer with its token ids, which everything here stands on.
 */
export async function probeFeatures(upstream: Upstream): Promise<UpstreamFeatures> {
  const prompt = await upstream.tokenizeChat([{ role: "user", content: "Say hello." }]);
  const plain = await tryAnswer(upstream, { tokenIds: prompt, sampling: greedy, passesEnds: true });
  const [first] = plain instanceof UpstreamError ? [] : plain.tokenIds;
  if (first === undefined) {
    const reason = plain instanceof UpstreamError ? plain.message : "an answer without tokens";
    const message =
      `${upstream.software} does not stream answers with token ids (${reason}). Use llama-server of build 4400 or ` +
      "later, or vLLM 0.10.2 or later (SGLang's OpenAI API and Ollama have none).";
    throw new UpstreamRefusedError("no_token_ids", message);
  }
  return {
    format: await isHeldToFormat(upstream, prompt),
    logitBias: await takesBias(upstream, { prompt, first }),
    logprobs: await tellsProbabilities(upstream, prompt),
    readTop: await likeliestRead(upstream, { prompt, first }),
  };
}

async function isHeldToFormat(upstream: Upstream, tokenIds: readonly number[]): Promise<boolean> {
  const tried = await tryAnswer(upstream, { tokenIds, sampling: greedy, grammar: schemaGrammar(probeSchema) });
  return !(tried instanceof UpstreamError) && tried.text === '"zq"';
}

async function takesBias(
  upstream: Upstream,
  { prompt, first }: { prompt: readonly number[]; first: number },
): Promise<boolean> {
  const sampling: Sampling = { ...greedy, logitBias: [[first, -100]] };
  const tried = await tryAnswer(upstream, { tokenIds: prompt, sampling });
  return !(tried instanceof UpstreamError) && tried.tokenIds[0] !== first;
}

async function tellsProbabilities(upstream: Upstream, tokenIds: readonly number[]): Promise<boolean> {
  const tried = await tryAnswer(upstream, { tokenIds, sampling: { ...greedy, logprobs: { top: 1 } } });
  return !(tried instanceof UpstreamError) && tried.logprobs.length === tried.tokenIds.length;
}

/** Enough for a check at any temperature with some to spare; just enough; what vLLM allows unless told otherwise. */
const readTops = [96, candidateTokens, 20, 1] as const;

/** How many of the likeliest tokens a reading tells; 0 where it tells none, or others than the model's. */
async function likeliestRead(
  { reader }: Upstream,
  { prompt, first }: { prompt: readonly number[]; first: number },
): Promise<number> {
  for (const top of reader === undefined ? [] : readTops) {
    try {
      const signal = AbortSignal.timeout(60_000);
      const [place = []] = (await reader?.read({ before: prompt, tokenIds: [first], top, signal })) ?? [];
      return place.length >= top && place[0]?.[0] === first ? top : 0;
    } catch (error) {
      if (!(error instanceof UpstreamError)) throw error;
    }
  }
  return 0;
}

async function tryAnswer(
  upstream: Upstream,
  asked: Pick<GenerateRequest, "tokenIds" | "sampling" | "grammar" | "passesEnds">,
): Promise<Tried | UpstreamError> {
  const tried: Tried = { tokenIds: [], text: "", logprobs: [] };
  try {
    const signal = AbortSignal.timeout(60_000);
    for await (const piece of upstream.generate({ ...asked, continuedTokens: 0, maxTokens: 12, signal })) {
      tried.tokenIds.push(...piece.tokenIds);
      tried.text += piece.text ?? "";
      tried.logprobs.push(...(piece.logprobs ?? []));
    }
    return tried;
  } catch (error) {
    if (error instanceof UpstreamError) return error;
    throw error;
  }
}
