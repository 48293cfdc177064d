import type { AccountId, NodeId } from "../../core/ids.ts";
import { Refusal, type RefusalCode } from "../../core/refusal.ts";
import type { Party } from "../../core/validation/audit-case.ts";
import { embeddingCalibrationOf } from "../../core/validation/calibration.ts";
import { checkerOf } from "../../core/validation/is-checkable.ts";
import { judgeVectors } from "../../core/validation/judge-vectors.ts";
import type { CheckReport } from "../../core/wire/node-frame.ts";
import type { CheckInput, EmbedInput } from "../../core/wire/task-input.ts";
import type { Env } from "../env.ts";
import { taskObjects } from "../task-objects.ts";
import { TaskRun } from "../task-run.ts";
import type { AuditOrder } from "./audit-order.ts";
import { judgeParts, type PartVerdict } from "./judge-parts.ts";
import { networkPrincipal } from "./network-principal.ts";

/** What became of asking a validator. */
export type Word =
  | ({
      kind: "told";
      validator: Party;
      /** One whose good word needs no second. */
      isTrusted: boolean;
      /** Null for an embedding, which is made anew and compared. */
      report: CheckReport | null;
    } & PartVerdict)
  /** None of another operator is free or lives. */
  | { kind: "nobody" }
  /** These were asked and came to nothing. */
  | { kind: "failed"; nodeIds: readonly NodeId[] };

export interface Question {
  order: AuditOrder;
  /** What its validator gets: the answer, or for an embedding its texts. */
  input: CheckInput | EmbedInput;
  isCommitmentGood: boolean;
  accused: number | null;
  excludeNodes: readonly NodeId[];
  excludeOperators: readonly AccountId[];
}

/** Refusals that say nothing of a validator: there was none. */
const nobody: readonly RefusalCode[] = ["no_live_node", "no_free_node", "queue_full"];

/** Has one validator look at an answer. It travels as a task of the network's own, which lets users' tasks go first. */
export async function askValidator(
  { order, input, isCommitmentGood, accused, excludeNodes, excludeOperators }: Question,
  { env, waitUntil }: { env: Env; waitUntil: (promise: Promise<unknown>) => void },
): Promise<Word> {
  const { card, shards } = order;
  const needs = checkerOf(
    order.input,
    order.parts.map(({ decoding }) => decoding),
  );
  const nothing = { liveNodes: 0, slots: 0, freeSlots: 0, waiting: 0, atMs: 0, firstSeenAtMs: 0 };
  const model = { id: card.name, card, shards, ...nothing };
  const run = new TaskRun({
    objects: taskObjects(env, { model, affinity: null }),
    principal: networkPrincipal,
    ...{ model, input, affinity: null, isWhole: true, waitUntil },
    wish: { exclude: excludeNodes, excludeOperators, needs, isPatient: true },
    signal: new AbortController().signal,
  });
  const heard = { vectors: new Map<number, string>(), report: undefined as CheckReport | undefined };
  try {
    await run.begin();
    for (let parts = run.ready(), isOver = false; !isOver; parts = await run.next()) {
      for (const part of parts) {
        if (part.type === "deliverReport") heard.report = part.report;
        if (part.type === "restart") heard.vectors.clear();
        if (part.type === "deliverVectors") {
          for (const { index, float32 } of part.vectors) heard.vectors.set(index, float32);
        }
        isOver = part.type === "end";
      }
      if (isOver) break;
    }
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    return nobody.includes(error.code) ? { kind: "nobody" } : { kind: "failed", nodeIds: run.triedNodeIds };
  }
  const last = run.making.parts.at(-1);
  const node = last && run.standingOf(last.attemptId);
  const judged =
    input.kind === "embedding"
      ? vectorsVerdict(order, heard.vectors)
      : heard.report &&
        judgeParts(heard.report, order, {
          ...{ positions: input.positions, checkedPromptTokens: run.promptTokens, isCommitmentGood, accused },
        });
  if (last === undefined || node === undefined || judged === undefined) {
    return { kind: "failed", nodeIds: run.triedNodeIds };
  }
  const validator = { nodeId: last.nodeId, operator: node.operator };
  const isTrusted = node.isTrustedValidator;
  return { kind: "told", validator, isTrusted, report: heard.report ?? null, ...judged };
}

function vectorsVerdict(order: AuditOrder, again: ReadonlyMap<number, string>): PartVerdict | undefined {
  const others = order.vectors.map((_, index) => numbersOf(again.get(index) ?? ""));
  const verdict = judgeVectors(order.vectors.map(numbersOf), others, embeddingCalibrationOf(order.card.fileSha256));
  return verdict && { verdict, part: order.parts.length - 1 };
}

function numbersOf(base64: string): Float32Array {
  return new Float32Array(Uint8Array.from(atob(base64), (character) => character.charCodeAt(0)).buffer);
}
