import type { Candidate } from "../../../core/decoding/ranked-candidates.ts";

/** A text to read: `tokenIds` after `before`, at least one id in each. */
export interface ReadRequest {
  before: readonly number[];
  tokenIds: readonly number[];
  /** So many of the likeliest tokens are wanted at each place. */
  top: number;
  signal: AbortSignal;
}

/** Of a server that says how likely the tokens of a prompt are. */
export interface PromptReader {
  /** Tokens that were seen to end an answer: no server tells them. */
  readonly endIds: ReadonlySet<number>;
  /**
   * In the place of each of `tokenIds`: the `top` likeliest tokens and the id that stands there, with their
   * log-probabilities, likeliest first. Throws `UpstreamError`.
   */
  read(request: ReadRequest): Promise<readonly (readonly Candidate[])[]>;
}
