import type { Llama, LlamaModel, Token } from "node-llama-cpp";
import { cheapChecks } from "../../core/validation/cheap-checks.ts";
import { drawPositions } from "../../core/validation/draw-positions.ts";
import type { CheckReport } from "../../core/wire/node-frame.ts";
import type { CheckInput } from "../../core/wire/task-input.ts";
import type { Engine } from "../../worker-node/engine/engine.ts";
import { loadLlamaEngine } from "../../worker-node/engine/llama-engine.ts";
import { type Adversary, type AdversaryName, adversaries, type Claim, type Tongue } from "./adversaries.ts";
import { inputOf } from "./ask.ts";
import { ClaimedLogprobs } from "./claimed-logprobs.ts";
import { contextTokens, loadUnder } from "./conditions.ts";
import type { CheckJob, Report } from "./job.ts";
import { seedOf } from "./prompts.ts";
import { seededRandom } from "./seeded-random.ts";
import { type TrialRow, trialKey } from "./trial-row.ts";

type Trial = CheckJob["trials"][number];

interface Loaded {
  key: string;
  engine: Engine;
  /** Reads the copy alone. */
  copy: Engine | undefined;
  tongue: Tongue;
  /** Opened at the first trial that is compared. */
  ways: { logprobs: ClaimedLogprobs; encoder: Engine } | undefined;
  model: LlamaModel;
}

/** Makes claims of answers, as the adversary does, and checks them with the honest model, as a validator does. */
export class ClaimChecker {
  readonly #llama: Llama;
  #loaded: Loaded | undefined;

  constructor(llama: Llama) {
    this.#llama = llama;
  }

  async check(job: CheckJob, tell: (report: Report) => void): Promise<void> {
    const loaded = await this.#load(job);
    for (const trial of job.trials) {
      const { adversary: name, answer, ask } = trial;
      const adversary: Adversary | undefined = adversaries[name as AdversaryName];
      if (adversary === undefined) throw new Error(`there is no adversary ${name}`);
      const claim = adversary.claim(answer, loaded.tongue);
      if (claim === undefined) tell({ kind: "noRoom", adversary: name, promptId: ask.promptId });
      else {
        if (trial.isCompared) loaded.ways ??= await this.#openWays(loaded.model, job.encoderPath);
        tell({ kind: "trial", row: await checkClaim(loaded, { trial, claim, checker: job.checker.name }) });
      }
    }
  }

  async #openWays(model: LlamaModel, encoderPath: string): Promise<Loaded["ways"]> {
    const encoder = { modelPath: encoderPath, kind: "embedding", slots: 1, contextTokens: 256, threads: 1 } as const;
    return {
      logprobs: await ClaimedLogprobs.open(model),
      encoder: await loadLlamaEngine({ llama: this.#llama, ...encoder }),
    };
  }

  async #load({ honestPath, copyPath, checker }: CheckJob): Promise<Loaded> {
    const key = `${honestPath} ${copyPath} ${JSON.stringify(checker)}`;
    if (this.#loaded?.key === key) return this.#loaded;
    if (this.#loaded !== undefined) {
      const { engine, copy, ways, model } = this.#loaded;
      await engine.dispose();
      await copy?.dispose();
      await ways?.encoder.dispose();
      await ways?.logprobs.dispose();
      await model.dispose();
    }
    const model = await this.#llama.loadModel({ modelPath: honestPath });
    const engine = await loadUnder(checker, { llama: this.#llama, modelPath: honestPath });
    const copy = copyPath && (await loadUnder(checker, { llama: this.#llama, modelPath: copyPath }));
    this.#loaded = { key, engine, copy: copy || undefined, model, tongue: tongueOf(model), ways: undefined };
    return this.#loaded;
  }
}

function tongueOf(model: LlamaModel): Tongue {
  return {
    tokenize: (text) => [...model.tokenize(text)],
    detokenize: (tokenIds) => model.detokenize(tokenIds as Token[]),
    vocabularyTokens: [...model.iterateAllTokens()].length,
  };
}

async function checkClaim(
  { engine, copy, ways }: Loaded,
  { trial, claim, checker }: { trial: Trial; claim: Claim; checker: string },
): Promise<TrialRow> {
  const { ask, answer, adversary } = trial;
  const { promptId, sampling, seed } = ask;
  const of = inputOf(ask);
  const { tokenIds, text, finishReason, extraPromptTokens = 0 } = claim;
  const name = { adversary, sampling, promptId, seed, checker };
  const positions = drawPositions(tokenIds.length, {
    endsByModel: finishReason === "stop",
    random: seededRandom(seedOf(`positions ${trialKey(name)}`)),
  });
  const startedMs = performance.now();
  const check: CheckInput = { kind: "check", of, tokenIds: [...tokenIds], text, finishReason, positions };
  const { promptTokens: checkedPromptTokens, report } = await run(engine, check);
  const checkMs = Math.round(performance.now() - startedMs);
  const byCopy = copy && (await run(copy, check)).report;
  const promptTokens = checkedPromptTokens + extraPromptTokens;
  const compared =
    trial.isCompared && ways !== undefined
      ? {
          ...(await distances(ways.encoder, trial, text)),
          ...(await logprobsOf(engine, ways.logprobs, { trial, claim, positions })),
        }
      : {};
  return {
    ...{ ...name, maker: answer.conditions, tokens: tokenIds.length, finishReason },
    ...{ promptTokens, checkedPromptTokens, positions },
    margins: marginsOf(report),
    ...(byCopy === undefined ? {} : { copyMargins: marginsOf(byCopy) }),
    ranks: report.findings.map(({ rank }) => rank),
    ...{ isTextOfTokens: report.isTextOfTokens, isEndRight: report.isEndRight },
    suspicions: cheapChecks({
      ...{ tokenIds, text, finishReason, maxTokens: ask.maxTokens, promptTokens, contextTokens },
      // What hardware of a kind can reach is the router's to know.
      ...{ totalMs: answer.totalMs, fastestTokensPerSecond: Number.POSITIVE_INFINITY },
    }),
    checkMs,
    ...compared,
  };
}

async function run(engine: Engine, check: CheckInput): Promise<{ promptTokens: number; report: CheckReport }> {
  const prepared = await engine.prepareCheck(check);
  if (prepared.kind !== "prepared") throw new Error("an answer does not fit the context");
  const { promptTokens } = prepared;
  return { promptTokens, report: await prepared.run({ signal: new AbortController().signal }) };
}

const marginsOf = ({ findings }: CheckReport) => findings.map(({ margin }) => Math.round(margin * 1e5) / 1e5);

/** How near the claimed text is to what honest nodes say. */
async function distances(
  encoder: Engine,
  { honestText, otherSeedText }: Trial,
  text: string,
): Promise<Pick<TrialRow, "cosine" | "cosineOtherSeed">> {
  const texts = [text, honestText ?? "", otherSeedText ?? ""].map((each) => (each === "" ? " " : each));
  const prepared = await encoder.prepareEmbedding({ kind: "embedding", texts });
  if (prepared.kind !== "prepared") throw new Error("an answer does not fit the encoder");
  const vectors: Float32Array[] = [];
  await prepared.run({ onVector: (_index, vector) => vectors.push(vector), signal: new AbortController().signal });
  const [own, same, other] = vectors;
  return {
    ...(honestText === undefined ? {} : { cosine: dot(own, same) }),
    ...(otherSeedText === undefined ? {} : { cosineOtherSeed: dot(own, other) }),
  };
}

function dot(one: Float32Array | undefined, other: Float32Array | undefined): number {
  const sum = one?.reduce((total, value, index) => total + value * (other?.[index] ?? 0), 0) ?? 0;
  return Math.round(sum * 1e5) / 1e5;
}

async function logprobsOf(
  engine: Engine,
  logprobs: ClaimedLogprobs,
  { trial, claim, positions }: { trial: Trial; claim: Claim; positions: readonly number[] },
): Promise<Pick<TrialRow, "meanLogprob" | "logprobDistance">> {
  const prepared = await engine.prepareChat(inputOf(trial.ask));
  if (prepared.kind !== "prepared" || prepared.promptIds === undefined) throw new Error("the prompt has no ids");
  const at = positions.filter((position) => position < claim.tokenIds.length);
  const found = await logprobs.read(prepared.promptIds, claim.tokenIds, at);
  if (found === undefined || found.length === 0) return {};
  const meanLogprob = mean(found);
  const { logprobs: told } = claim;
  if (told === undefined) return { meanLogprob };
  return {
    meanLogprob,
    logprobDistance: mean(found.map((each, index) => Math.abs(each - (told[at[index] ?? 0] ?? 0)))),
  };
}

function mean(numbers: readonly number[]): number {
  return Math.round((numbers.reduce((sum, each) => sum + each, 0) / numbers.length) * 1e5) / 1e5;
}
