import { z } from "zod";
import type { Candidate } from "../../../core/decoding/ranked-candidates.ts";
import { limits } from "../../../core/limits.ts";
import { UpstreamError } from "./upstream-error.ts";
import type { UpstreamHttp } from "./upstream-http.ts";
import type { PromptReader, ReadRequest } from "./upstream-reading.ts";

/** An entry for each token of the prompt; the first has none. */
const readSchema = z.object({ choices: z.array(z.object({ prompt_logprobs: z.array(z.unknown()).nullish() })).min(1) });
/** By token id; where it was not among the likeliest, the prompt's own token is one more. */
const placeSchema = z.record(z.string().regex(/^\d+$/), z.object({ logprob: z.number() }));

/** vLLM's `prompt_logprobs`. A server allows as many as its `--max-logprobs` (20 unless given). */
export class VllmReader implements PromptReader {
  readonly #http: UpstreamHttp;
  readonly #model: string;
  readonly #endIds = new Set<number>();

  constructor({ http, model }: { http: UpstreamHttp; model: string }) {
    this.#http = http;
    this.#model = model;
  }

  get endIds(): ReadonlySet<number> {
    return this.#endIds;
  }

  /** Keeps a token that ended an answer. */
  noteEnd(tokenId: number | undefined): void {
    if (tokenId !== undefined) this.#endIds.add(tokenId);
  }

  async read({ before, tokenIds, top, signal }: ReadRequest): Promise<Candidate[][]> {
    const body = {
      model: this.#model,
      prompt: [...before, ...tokenIds],
      ...{ max_tokens: 1, temperature: 0, prompt_logprobs: top },
    };
    const asked = { body, schema: readSchema, timeoutMs: limits.silenceMs, signal };
    const { choices } = await this.#http.json("/v1/completions", asked);
    const told = choices[0]?.prompt_logprobs ?? [];
    if (told.length !== before.length + tokenIds.length) throw new UpstreamError("vLLM tells no prompt_logprobs");
    // Only what was asked about is looked at: a prompt may be long, and each place has many tokens.
    return told.slice(before.length).map((place) => {
      const parsed = placeSchema.safeParse(place);
      if (!parsed.success) throw new UpstreamError("vLLM tells prompt_logprobs in another form");
      const candidates = Object.entries(parsed.data).map(([id, { logprob }]): Candidate => [Number(id), logprob]);
      return candidates.sort(([leftId, left], [rightId, right]) => right - left || leftId - rightId);
    });
  }
}
