import type {
  ControlledEvaluateInputItem,
  LlamaContext,
  LlamaContextSequence,
  LlamaModel,
  Token,
} from "node-llama-cpp";
import { contextTokens } from "./conditions.ts";

/**
 * What log-probabilities a model gives to the tokens of a text that is claimed to be its own, in one reading: what a
 * check by log-probabilities has to go by. Not a part of the network, only what its check is compared with.
 */
export class ClaimedLogprobs {
  readonly #context: LlamaContext;
  readonly #sequence: LlamaContextSequence;
  readonly #vocabularyTokens: number;

  private constructor(model: LlamaModel, context: LlamaContext) {
    this.#context = context;
    this.#sequence = context.getSequence();
    this.#vocabularyTokens = [...model.iterateAllTokens()].length;
  }

  static async open(model: LlamaModel): Promise<ClaimedLogprobs> {
    const context = await model.createContext({ contextSize: contextTokens, batchSize: 256, threads: 1 });
    return new ClaimedLogprobs(model, context);
  }

  /** Of the claimed ids at these positions, natural logarithms; `undefined` where an id is none of the model's. */
  async read(
    promptIds: readonly number[],
    tokenIds: readonly number[],
    positions: readonly number[],
  ): Promise<number[] | undefined> {
    if (tokenIds.some((id) => id >= this.#vocabularyTokens)) return undefined;
    const wanted = new Set(positions);
    // The token at a position is chosen by the logits after the one before it.
    const read = [...promptIds, ...tokenIds.slice(0, -1)] as Token[];
    const items = read.map((token, at): ControlledEvaluateInputItem => {
      const position = at - promptIds.length + 1;
      const claimed = tokenIds[position] as Token | undefined;
      if (!wanted.has(position) || claimed === undefined) return token;
      const filter = { tokens: [claimed], includeTop: 1, includeMax: true };
      return [token, { generateNext: { logits: { filter }, totalLogitWeight: true } }];
    });
    await this.#sequence.clearHistory();
    const results = await this.#sequence.controlledEvaluate(items);
    return positions.map((position) => {
      const next = results[position + promptIds.length - 1]?.next;
      const logit = next?.logits?.get(tokenIds[position] as Token);
      if (next?.logits === undefined || next.totalLogitWeight === undefined || logit === undefined) {
        throw new Error("no logits came");
      }
      return Math.min(0, logit - Math.max(...next.logits.values()) - Math.log(next.totalLogitWeight));
    });
  }

  async dispose(): Promise<void> {
    await this.#context.dispose();
  }
}
