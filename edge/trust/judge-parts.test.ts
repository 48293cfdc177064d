import { expect, test } from "vitest";
import { accountIdSchema, attemptIdSchema, nodeIdSchema, taskIdSchema } from "../../core/ids.ts";
import { modelCardSchema } from "../../core/model/model-card.ts";
import { calibrations } from "../../core/validation/calibrations.ts";
import type { CheckReport } from "../../core/wire/node-frame.ts";
import type { AuditOrder } from "./audit-order.ts";
import { judgeParts } from "./judge-parts.ts";

const part = (name: string, answerTokens: number): AuditOrder["parts"][number] => ({
  attemptId: attemptIdSchema.parse(`attempt_${name}`),
  nodeId: nodeIdSchema.parse(`node_${name}`),
  operator: accountIdSchema.parse(name),
  publicKey: "",
  promptTokens: 3,
  answerTokens,
});

/** 40 tokens, the first half of one node, the second of another. */
const order: AuditOrder = {
  taskId: taskIdSchema.parse("task_one0"),
  card: modelCardSchema.parse({
    ...{ name: "model", fileSha256: "a".repeat(64), kind: "chat", sizeBytes: 1, quantization: "Q4_1" },
    ...{ architecture: "llama", contextTokens: 2_048, slots: 1, tokensPerSecond: 10 },
  }),
  shards: 1,
  input: {
    kind: "completion",
    prompt: "Hello",
    sampling: { temperature: 0, topP: 1, frequencyPenalty: 0, presencePenalty: 0, seed: 1, stop: [], maxTokens: null },
  },
  tokenIds: Array.from({ length: 40 }, (_, id) => id),
  text: "",
  ...{ finishReason: "stop", stopSequence: null, contextTokens: 2_048, vectors: [], commitment: null },
  ...{ chosenWith: 1, suspicions: [], isAwaited: false },
  parts: [part("first", 20), part("second", 40)],
};
const positions = Array.from({ length: 41 }, (_, position) => position);

function reportOf(marginAt: (position: number) => number, fields: Partial<CheckReport> = {}): CheckReport {
  const findings = positions.map((position) => ({ position, margin: marginAt(position), rank: 0 }));
  return { findings, isTextOfTokens: true, isEndRight: true, ...fields };
}

const claims = { positions, checkedPromptTokens: 3, isCommitmentGood: true, accused: null };

test.each<[guarantee: string, report: CheckReport, fields: object, outcome: string, accused: number]>([
  ["an answer that is good everywhere stands for the node that ended it", reportOf(() => 0), {}, "plausible", 1],
  ["the first node answers for its own tokens", reportOf((at) => (at < 20 ? 5 : 0)), {}, "implausible", 0],
  ["the second answers for its own", reportOf((at) => (at >= 20 ? 5 : 0)), {}, "implausible", 1],
  ["who ended it answers for the text", reportOf(() => 0, { isTextOfTokens: false }), {}, "implausible", 1],
  ["who ended it answers for the commitment", reportOf(() => 0), { isCommitmentGood: false }, "implausible", 1],
  [
    "a part that is not in question is not looked at",
    reportOf((at) => (at < 20 ? 5 : 0)),
    { accused: 1 },
    "plausible",
    1,
  ],
])("%s", (_guarantee, report, fields, outcome, accused) => {
  expect(judgeParts(report, order, { ...claims, ...fields })).toMatchObject({ part: accused, verdict: { outcome } });
});

test("an answer of another engine's own sampler is judged by the cautious default", () => {
  const model = calibrations.chat[0]?.model;
  if (model === undefined) throw new Error("nothing is calibrated");
  // Twice what the measured model's honest nodes may differ by, half of what the default allows.
  const report = reportOf(() => 0.1);
  const judged = (decoding: "verifiable" | "own") => {
    const parts = [{ ...part("only", 40), decoding }];
    return judgeParts(report, { ...order, card: { ...order.card, fileSha256: model }, parts }, claims)?.verdict.outcome;
  };
  expect([judged("verifiable"), judged("own")]).toEqual(["implausible", "plausible"]);
});

test("a report that leaves a position out is none", () => {
  const report = reportOf(() => 0);
  expect(judgeParts({ ...report, findings: report.findings.slice(1) }, order, claims)).toBeUndefined();
});
