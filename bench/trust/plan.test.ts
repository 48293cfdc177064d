import { expect, test } from "vitest";
import type { AnswerRow } from "./answer-row.ts";
import { answerKey } from "./answer-row.ts";
import type { Ask } from "./ask.ts";
import type { TrustModels } from "./make-models.ts";
import { modelNames } from "./make-models.ts";
import { keyOfPlanned, planAnswers, planChecks, planTrials } from "./plan.ts";

const models = Object.fromEntries(
  [...modelNames, "copy", "encoder"].map((name) => [name, { path: `${name}.gguf`, sha256: "", sizeBytes: 1 }]),
) as TrustModels;
const nothing = { get: () => undefined };

const answerTo = (maker: string, ask: Ask): AnswerRow => ({
  ...{ maker, ask, conditions: "usual", promptTokens: 9, tokenIds: [1, 2], text: "a b", finishReason: "length" },
  totalMs: 1,
});

test("every trial is another: no prompt and seed twice for one adversary", () => {
  const keys = planTrials(1).map(keyOfPlanned);
  expect(new Set(keys).size).toBe(keys.length);
});

test("at temperature 0 no honest prompt is asked twice", () => {
  const ids = planTrials(1).flatMap(({ adversary, ask, checker }) =>
    adversary === "honest" && ask.sampling === "T=0" && checker.name === "usual" ? [ask.promptId] : [],
  );
  expect(new Set(ids).size).toBe(ids.length);
});

test("the goals are planned for: 3,000 honest trials, 1,000 of another model", () => {
  const trials = planTrials(1).filter(({ checker }) => checker.name === "usual");
  const count = (names: RegExp) => trials.filter(({ adversary }) => names.test(adversary)).length;
  expect(count(/^honest/)).toBeGreaterThanOrEqual(3_000);
  expect(count(/^gemma/)).toBeGreaterThanOrEqual(1_000);
  expect(count(/^q4_0/)).toBeGreaterThanOrEqual(400);
});

test("what was made is not made again, and what was checked not checked again", () => {
  const trials = planTrials(0.01);
  const asked = planAnswers(trials, nothing, models).flatMap(({ maker, asks }) =>
    asks.map(({ ask }) => answerTo(maker, ask)),
  );
  const answers = new Map(asked.map((row) => [answerKey(row), row]));
  expect(answers.size).toBe(asked.length);
  expect(planAnswers(trials, answers, models)).toEqual([]);
  const jobs = planChecks(trials, { answers, done: new Set(), models });
  expect(jobs.flatMap((job) => job.trials)).toHaveLength(trials.length);
  const readCopies = jobs.filter(({ copyPath }) => copyPath === models.copy.path).flatMap((job) => job.trials);
  expect(readCopies).toHaveLength(trials.filter(({ checker }) => checker.name === "copy first").length);
  expect(readCopies.length).toBeGreaterThan(0);
  const done = new Set(trials.map(keyOfPlanned));
  expect(planChecks(trials, { answers, done, models })).toEqual([]);
});

test("a trial without its answer waits", () => {
  expect(planChecks(planTrials(0.01), { answers: nothing, done: new Set(), models })).toEqual([]);
});
