import type { Llama } from "node-llama-cpp";
import type { Engine } from "../../worker-node/engine/engine.ts";
import type { AnswerRow } from "./answer-row.ts";
import { type Ask, inputOf, plainInputOf } from "./ask.ts";
import { loadUnder } from "./conditions.ts";
import type { GenerateJob, Report } from "./job.ts";
import { wholeAnswer } from "./whole-answer.ts";

/** Makes answers with whichever model a job names; the one of the job before stays loaded. */
export class AnswerMaker {
  readonly #llama: Llama;
  #loaded: { key: string; engine: Engine } | undefined;

  constructor(llama: Llama) {
    this.#llama = llama;
  }

  /** As many at once as the conditions have slots. */
  async make(job: GenerateJob, tell: (report: Report) => void): Promise<void> {
    const engine = await this.#engineFor(job);
    const waiting = [...job.asks];
    const slot = async () => {
      for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
        tell({ kind: "answer", row: await answer(engine, job, next) });
      }
    };
    await Promise.all(Array.from({ length: job.conditions.slots }, slot));
  }

  async #engineFor({ modelPath, conditions }: GenerateJob): Promise<Engine> {
    const key = `${modelPath} ${JSON.stringify(conditions)}`;
    if (this.#loaded?.key !== key) {
      await this.#loaded?.engine.dispose();
      this.#loaded = undefined;
      this.#loaded = { key, engine: await loadUnder(conditions, { llama: this.#llama, modelPath }) };
    }
    return this.#loaded.engine;
  }
}

async function answer(
  engine: Engine,
  { maker, conditions, system, isPlain }: GenerateJob,
  { ask, wantsLogprobs }: GenerateJob["asks"][number],
): Promise<AnswerRow> {
  if (conditions.goesOn && ask.earlier !== undefined) await readEarlier(engine, ask);
  const options = { wantsLogprobs, ...(system === undefined ? {} : { system }) };
  const startedMs = performance.now();
  const { logprobs, ...said } = await wholeAnswer(engine, isPlain ? plainInputOf(ask) : inputOf(ask, options));
  return {
    ...{ maker, ask, conditions: conditions.name, ...said },
    ...(logprobs.length === 0 ? {} : { logprobs }),
    totalMs: Math.round(performance.now() - startedMs),
  };
}

/** The turn before, so that its slot holds the beginning of the conversation when the next one comes. */
async function readEarlier(engine: Engine, ask: Ask): Promise<void> {
  const { messages, sampling, kind } = inputOf(ask);
  const prepared = await engine.prepareChat({
    kind,
    messages: messages.slice(0, -2),
    sampling: { ...sampling, maxTokens: 2 },
  });
  if (prepared.kind !== "prepared") throw new Error(`${ask.promptId} does not fit the context`);
  await prepared.run({ onPiece: () => {}, signal: new AbortController().signal });
}
