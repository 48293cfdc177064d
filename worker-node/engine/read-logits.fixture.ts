import type { Llama, LlamaContext, LlamaContextSequence, LlamaModel, Token } from "node-llama-cpp";
import type { Candidate } from "../../core/decoding/ranked-candidates.ts";

/** A model that tells all its logits at each place of a text, by llama.cpp alone: what engines are compared with. */
export class LogitsReader {
  readonly #model: LlamaModel;
  readonly #context: LlamaContext;
  readonly #sequence: LlamaContextSequence;
  readonly #tokens: readonly Token[];

  private constructor(model: LlamaModel, context: LlamaContext) {
    this.#model = model;
    this.#context = context;
    this.#sequence = context.getSequence();
    this.#tokens = [...model.iterateAllTokens()];
  }

  static async open(llama: Llama, { modelPath, contextTokens }: { modelPath: string; contextTokens: number }) {
    const model = await llama.loadModel({ modelPath });
    return new LogitsReader(model, await model.createContext({ contextSize: contextTokens, threads: 1 }));
  }

  /** For each id, the log-probabilities of all tokens in the place after it, likeliest first. */
  async read(tokenIds: readonly number[]): Promise<Candidate[][]> {
    await this.#sequence.clearHistory();
    const generateNext = { logits: true, totalLogitWeight: true };
    const results = await this.#sequence.controlledEvaluate(
      tokenIds
        .map((id) => {
          const token = this.#tokens[id];
          if (token === undefined) throw new Error(`there is no token ${id}`);
          return [token, { generateNext }] as const;
        })
        .map(([token, options]): [Token, { generateNext: typeof generateNext }] => [token, options]),
    );
    return results.map((result) => {
      const { logits, totalLogitWeight } = result?.next ?? {};
      if (logits === undefined || totalLogitWeight === undefined) throw new Error("no logits came");
      const logTotal = Math.max(...logits.values()) + Math.log(totalLogitWeight);
      return [...logits].map(([id, logit]): Candidate => [id, logit - logTotal]);
    });
  }

  async dispose(): Promise<void> {
    await this.#context.dispose();
    await this.#model.dispose();
  }
}
