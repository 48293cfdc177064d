import { expect } from "vitest";
import { answerHead } from "../core/commitment/answer-chain.ts";
import { isCommitmentSigned } from "../core/commitment/sign-commitment.ts";
import { newNodeKey } from "../core/identity/node-key.ts";
import { type AttemptId, attemptIdSchema, type ModelHash, modelHashSchema, taskIdSchema } from "../core/ids.ts";
import { modelNameSchema } from "../core/model/model-card.ts";
import { type NodeFrame, nodeFrameSchema } from "../core/wire/node-frame.ts";
import type { TaskFrame } from "../core/wire/router-frame.ts";
import type { ChatInput, TaskInput } from "../core/wire/task-input.ts";
import { HandEngine, type Run } from "./engine/hand-engine.fixture.ts";
import { type FinishedTask, TaskRunner } from "./task-runner.ts";

export const model = modelHashSchema.parse("a".repeat(64));
const sampling = { temperature: 0, topP: 1, frequencyPenalty: 0, presencePenalty: 0, seed: 1, stop: [], maxTokens: 8 };
const chat: ChatInput = { kind: "chat", messages: [{ role: "user", content: "hello" }], sampling };
export const embedding: TaskInput = { kind: "embedding", texts: ["one", "two"] };
export const check: TaskInput = {
  ...{ kind: "check", of: chat, tokenIds: [11, 12], text: "Paris", finishReason: "stop", positions: [0, 2] },
};
/** What any commitment of an answer looks like. */
export const commitment = {
  head: expect.stringMatching(/^[\w-]{43}$/),
  signature: expect.stringMatching(/^[\w-]{86}$/),
};
const key = await newNodeKey();
/** How a welcome names an attempt of which the router has nothing. */
export const goesOn = (number: number) => ({ attemptId: attempt(number), nextSeq: 0 });
/** A welcome that names nothing. */
export const fresh = { leases: [] };
export const attempt = (number: number): AttemptId => attemptIdSchema.parse(`attempt_000${number}`);
export const taskFrame = (
  number: number,
  { input = chat, of = model }: { input?: TaskInput; of?: ModelHash } = {},
): TaskFrame => ({
  type: "task",
  taskId: taskIdSchema.parse(`task_000${number}`),
  attemptId: attempt(number),
  model: of,
  input,
});

/**
 * Whether the last commit is one that the runners' node can be held to: for this task, with these ids in the whole answer.
 */
export async function isCommittedTo(frames: readonly NodeFrame[], number: number, tokenIds: readonly number[]) {
  const commit = frames.findLast((frame) => frame.type === "commit");
  if (commit?.commitment === undefined) return false;
  const { attemptId, finishReason, promptTokens, commitment } = commit;
  const { taskId } = taskFrame(number);
  const { head, signature } = commitment;
  const claim = { taskId, attemptId, model, promptTokens, answerTokens: tokenIds.length, finishReason, head };
  const isSigned = await isCommitmentSigned(claim, { publicKey: key.publicKey, signature });
  return isSigned && head === (await answerHead({ taskId, model }, tokenIds));
}

const runners: TaskRunner[] = [];

/** Ends every runner that a test made; for `afterEach`. */
export async function closeRunners(): Promise<void> {
  for (const runner of runners.splice(0)) await runner.close();
}

/** Lets every promise that is ready go on. */
export const settled = () => new Promise((resolve) => setImmediate(resolve));

/** A runner with one model on an engine in the test's hands, and everything it says. */
export function newRunner({ slots = 2, engine = new HandEngine() } = {}) {
  const frames: NodeFrame[] = [];
  const finished: FinishedTask[] = [];
  const runner = new TaskRunner({
    models: [{ name: modelNameSchema.parse("a-model"), fileSha256: model, slots, engine }],
    privateKey: key.privateKey,
    send: (frame) => frames.push(nodeFrameSchema.parse(frame)),
    onFinished: (task) => finished.push(task),
  });
  runners.push(runner);
  const credits = () => frames.flatMap((frame) => (frame.type === "pull" ? [frame.creditsTotal] : []));
  const of = (number: number) =>
    frames.filter((frame) =>
      frame.type === "delta"
        ? frame.items.some(({ attemptId }) => attemptId === attempt(number))
        : "attemptId" in frame && frame.attemptId === attempt(number),
    );
  /** The `number`th task to reach the engine. */
  const run = (number: number): Run => {
    const started = engine.runs[number - 1];
    if (started === undefined) throw new Error(`the engine has not begun task ${number}`);
    return started;
  };
  return { runner, engine, frames, finished, credits, of, run };
}
