import { afterAll, beforeAll, expect, test } from "vitest";
import { mostMargin } from "../../core/decoding/claim-margin.ts";
import type { CheckReport } from "../../core/wire/node-frame.ts";
import type { ChatMessage, CheckInput, Sampling } from "../../core/wire/task-input.ts";
import { type Answer, type Asking, ask, greedy, user } from "./ask-engine.fixture.ts";
import type { Engine } from "./engine.ts";

/** The claim that an honest node makes with its answer, every position of which is to be looked at. */
export function claimOf(asking: Asking, { outcome, tokenIds, text }: Answer): CheckInput {
  const { messages = [user("hello")], sampling = {}, input = {} } = asking;
  const { finishReason, stopSequence } = outcome;
  const endsByModel = finishReason === "stop" && stopSequence === undefined;
  return {
    kind: "check",
    of: { kind: "chat", messages, sampling: { ...greedy, ...sampling }, ...input },
    ...{ tokenIds, text, finishReason: finishReason === "cancelled" ? null : finishReason },
    ...(stopSequence === undefined ? {} : { stopSequence }),
    positions: Array.from({ length: tokenIds.length + (endsByModel ? 1 : 0) }, (_, position) => position),
  };
}

/** Another node's claim with other sampling than it says. */
export function withSampling(claim: CheckInput, sampling: Partial<Sampling>): CheckInput {
  return { ...claim, of: { ...claim.of, sampling: { ...claim.of.sampling, ...sampling } } };
}

export async function check(engine: Engine, claim: CheckInput): Promise<CheckReport> {
  const prepared = await engine.prepareCheck(claim);
  if (prepared.kind !== "prepared") throw new Error(`the answer has ${prepared.promptTokens} tokens and does not fit`);
  const report = await prepared.run({ signal: new AbortController().signal });
  expect(report.findings.map(({ position }) => position)).toEqual(claim.positions);
  return report;
}

export const meanMargin = ({ findings }: CheckReport): number =>
  findings.reduce((sum, { margin }) => sum + margin, 0) / findings.length;

/**
 * Generating and reading differ by rounding: over a few dozen tokens an honest answer's mean margin is below this, and
 * what another seed, shifted ids or another temperature come to far above.
 */
const honestMean = 0.05;
const foundMean = 0.3;

/** What every engine that checks guarantees; part of `describeEngine`. */
export function describeCheck({
  makeChat,
  slots,
  endId,
}: {
  makeChat(): Promise<Engine>;
  slots: number;
  /** A token that ends an answer. */
  endId: number;
}): void {
  let engine: Engine;
  beforeAll(async () => {
    engine = await makeChat();
  });
  afterAll(() => engine.dispose());

  const asking = { messages: [user("tell me of the sea")], sampling: { temperature: 1, seed: 5, maxTokens: 40 } };
  const claim = async (asked: Asking = asking) => claimOf(asked, await ask(engine, asked));

  /** An answer that the model ended itself, with a bias for it. */
  async function endedAnswer(): Promise<{ asking: Asking; answer: Answer }> {
    // A model with random weights needs to be pushed, none knows how far.
    for (let seed = 1; seed < 60; seed++) {
      const logitBias: Sampling["logitBias"] = [[endId, seed / 3]];
      const asked = { ...asking, sampling: { temperature: 1.5, seed, maxTokens: 100, logitBias } };
      const answer = await ask(engine, asked);
      const { finishReason, completionTokens } = answer.outcome;
      if (finishReason === "stop" && completionTokens > 8) return { asking: asked, answer };
    }
    throw new Error("the model never ends an answer");
  }

  test.each<[guarantee: string, sampling: Partial<Sampling>]>([
    ["the likeliest tokens", { temperature: 0 }],
    ["draws at temperature 1", { temperature: 1 }],
    ["draws at temperature 2 with top-k, top-p and min-p", { temperature: 2, topK: 20, topP: 0.9, minP: 0.02 }],
    ["penalties", { temperature: 0.7, frequencyPenalty: 0.8, presencePenalty: 0.5 }],
    ["negative penalties", { temperature: 0.7, frequencyPenalty: -0.4, presencePenalty: -0.2 }],
    ["biases", { temperature: 1, logitBias: [[100, 5], [101, -100], [102, 2.5]] }], // biome-ignore format: one line a case
  ])("an honest answer of %s has hardly any margin, by all of its positions", async (_name, sampling) => {
    const honest = await claim({ ...asking, sampling: { ...asking.sampling, ...sampling } });
    const report = await check(engine, honest);
    expect(meanMargin(report)).toBeLessThan(honestMean);
    expect(report).toMatchObject({ isTextOfTokens: true, isEndRight: true });
  });

  test("an honest answer that the model ended, that a stop sequence ended, and that fills the context is right", async () => {
    const ended = await endedAnswer();
    const report = await check(engine, claimOf(ended.asking, ended.answer));
    expect(report.findings.at(-1)?.position).toBe(ended.answer.tokenIds.length);
    expect(report).toMatchObject({ isTextOfTokens: true, isEndRight: true });
    expect(meanMargin(report)).toBeLessThan(honestMean);

    const { text } = await ask(engine, asking);
    const stopped = await claim({ ...asking, sampling: { ...asking.sampling, stop: [text.slice(5, 8)] } });
    expect(stopped.stopSequence).toBe(text.slice(5, 8));
    expect(await check(engine, stopped)).toMatchObject({ isTextOfTokens: true, isEndRight: true });

    const full = { ...asking, sampling: { temperature: 0, maxTokens: null, seed: 1 } };
    const answer = await ask(engine, full);
    if (answer.outcome.finishReason !== "length") return;
    expect(await check(engine, claimOf(full, answer))).toMatchObject({ isTextOfTokens: true, isEndRight: true });
  });

  test("another seed, another temperature and shifted ids are found", async () => {
    const honest = await claim();
    const shifted = [...honest.tokenIds.slice(1), honest.tokenIds[0] ?? 0];
    for (const forged of [
      withSampling(honest, { seed: 6 }),
      withSampling(honest, { temperature: 0 }),
      { ...honest, tokenIds: shifted },
    ]) {
      expect(meanMargin(await check(engine, forged))).toBeGreaterThan(foundMean);
    }
  });

  test("another conversation's answer is found", async () => {
    const honest = await claim({ ...asking, sampling: { ...asking.sampling, temperature: 0 } });
    const messages: ChatMessage[] = [{ role: "system", content: "Say nothing." }, ...asking.messages];
    const forged: CheckInput = { ...honest, of: { kind: "chat", messages, sampling: honest.of.sampling } };
    expect(meanMargin(await check(engine, forged))).toBeGreaterThan(meanMargin(await check(engine, honest)));
    expect((await check(engine, forged)).findings.some(({ rank }) => rank > 0)).toBe(true);
  });

  test("text that the ids do not spell is found", async () => {
    const honest = await claim();
    expect(await check(engine, { ...honest, text: `${honest.text}!` })).toMatchObject({ isTextOfTokens: false });
    expect(await check(engine, { ...honest, text: "" })).toMatchObject({ isTextOfTokens: false });
  });

  test("an end that the model did not choose is found at the answer's end", async () => {
    const honest = await claim({ ...asking, sampling: { ...asking.sampling, temperature: 0 } });
    const tokenIds = honest.tokenIds.slice(0, 6);
    const forged: CheckInput = { ...honest, tokenIds, finishReason: "stop", positions: [tokenIds.length] };
    const [end] = (await check(engine, forged)).findings;
    expect(end?.margin).toBeGreaterThan(0);
    expect(end?.rank).toBeGreaterThan(0);
  });

  test("an end that was passed over is found where it should have been", async () => {
    const { asking: asked, answer } = await endedAnswer();
    const honest = claimOf(asked, answer);
    const tokenIds = [...answer.tokenIds, ...answer.tokenIds.slice(0, 4)];
    const positions = [answer.tokenIds.length];
    const maxTokens = tokenIds.length;
    const forged: CheckInput = { ...withSampling(honest, { maxTokens }), tokenIds, positions, finishReason: "length" };
    const [end] = (await check(engine, forged)).findings;
    expect(end?.margin).toBeGreaterThan(0);
  });

  test("an answer cut short, and one that goes on after its stop sequence, is found by its end", async () => {
    const honest = await claim();
    const short = { ...honest, tokenIds: honest.tokenIds.slice(0, 10), positions: [0] };
    expect(await check(engine, short)).toMatchObject({ isEndRight: false });
    const stop = [honest.text.slice(3, 5)];
    expect(await check(engine, withSampling(honest, { stop }))).toMatchObject({
      ...{ isEndRight: false, isTextOfTokens: false },
    });
    const invented = { ...withSampling(honest, { stop: ["\u0000never"] }), stopSequence: "\u0000never" };
    expect(await check(engine, { ...invented, finishReason: "stop" })).toMatchObject({ isEndRight: false });
  });

  test("by length it may end where the answering node's context does, and nowhere else", async () => {
    const honest = withSampling(await claim(), { maxTokens: null });
    const { promptTokens } = (await ask(engine, asking)).outcome;
    const contextTokens = promptTokens + honest.tokenIds.length;
    expect(await check(engine, { ...honest, contextTokens })).toMatchObject({ isEndRight: true });
    expect(await check(engine, { ...honest, contextTokens: contextTokens + 1 })).toMatchObject({ isEndRight: false });
    expect(await check(engine, honest)).toMatchObject({ isEndRight: false });
  });

  test("an id that the model does not have has the greatest margin, and so has all after it", async () => {
    const honest = await claim();
    const tokenIds = honest.tokenIds.with(7, 1_000_000_000);
    const { findings, isEndRight } = await check(engine, { ...honest, tokenIds });
    expect(findings.slice(0, 7).every(({ margin }) => margin < mostMargin)).toBe(true);
    expect(findings.slice(7).every(({ margin }) => margin === mostMargin)).toBe(true);
    expect(isEndRight).toBe(false);
  });

  test("only positions that are asked for are told, and an answer without tokens can be checked", async () => {
    const honest = await claim();
    const { findings } = await check(engine, honest);
    const some = await check(engine, { ...honest, positions: [3, 11, 39] });
    for (const { position, margin } of some.findings) expect(margin).toBeCloseTo(findings[position]?.margin ?? -1, 1);
    const empty: CheckInput = { ...honest, tokenIds: [], text: "", finishReason: "stop", positions: [0] };
    const [end] = (await check(engine, empty)).findings;
    expect(end?.margin).toBeGreaterThan(0);
    expect((await check(engine, { ...honest, positions: [] })).findings).toEqual([]);
  });

  test("an answer too long to be read here is refused with both numbers", async () => {
    const honest = await claim();
    const tokenIds = new Array(engine.contextTokens).fill(honest.tokenIds[0]);
    const refused = await engine.prepareCheck({ ...honest, tokenIds });
    expect(refused).toMatchObject({ kind: "context_overflow", contextTokens: engine.contextTokens });
    expect(refused.promptTokens).toBeGreaterThan(engine.contextTokens);
  });

  test("checks beside answers and each other are the checks they are alone, and all end", async () => {
    const honest = await claim();
    const alone = await check(engine, honest);
    const beside = Array.from({ length: slots + 1 }, (_, seed) =>
      ask(engine, { ...asking, sampling: { ...asking.sampling, seed, maxTokens: 100 } }),
    );
    const checks = await Promise.all(Array.from({ length: 3 }, () => check(engine, honest)));
    for (const each of checks) expect(meanMargin(each)).toBeCloseTo(meanMargin(alone), 1);
    await Promise.all(beside);
  });

  test("a check that is not wanted any more rejects with the signal's reason, and the next one runs", async () => {
    const honest = await claim();
    const reason = new Error("not wanted any more");
    const prepared = await engine.prepareCheck(honest);
    if (prepared.kind !== "prepared") throw new Error("the answer does not fit");
    await expect(prepared.run({ signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
    const controller = new AbortController();
    const running = prepared.run({ signal: controller.signal });
    const waiting = prepared.run({ signal: controller.signal });
    setImmediate(() => controller.abort(reason));
    for (const each of await Promise.allSettled([running, waiting])) {
      // It may have been over before.
      if (each.status === "rejected") expect(each.reason).toBe(reason);
    }
    expect(meanMargin(await check(engine, honest))).toBeLessThan(honestMean);
  });

  test("a check takes no slot's memory", async () => {
    const messages = [user("a long beginning ".repeat(4))];
    const asked = { messages, sampling: { maxTokens: 2 } };
    const honest = await claim();
    const before = await ask(engine, asked);
    await check(engine, honest);
    await check(engine, honest);
    expect((await ask(engine, asked)).tokenIds).toEqual(before.tokenIds);
  });
}
