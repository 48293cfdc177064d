import { type AttemptId, attemptIdSchema, type NodeId, nodeIdSchema, taskIdSchema } from "../ids.ts";
import type { AttemptEvent } from "../lease/attempt-event.ts";
import type { FailedHow, TaskFault } from "../lease/lease-effect.ts";
import type { DriverEffect } from "./driver-step.ts";
import { TaskDriver } from "./task-driver.ts";

export const node = (number: number): NodeId => nodeIdSchema.parse(`node_000${number}`);

/** A driver with its task's answers given by hand: each move answers what the driver last asked for. */
export class Table {
  readonly driver: TaskDriver;
  nowMs = 0;
  log: string[] = [];
  readonly effects: DriverEffect[] = [];
  #attempts = 0;
  /** The attempt that the driver last asked about, and the one that was last told to stop. */
  asked: AttemptId | undefined;
  #stopped: AttemptId | undefined;
  #waitMs = 0;

  constructor(fields: { kind?: "chat" | "embedding"; inputs?: number } = {}) {
    this.driver = new TaskDriver({
      taskId: taskIdSchema.parse("task_0001"),
      kind: fields.kind ?? "chat",
      inputs: fields.inputs ?? 0,
      mostContextTokens: 2_048,
      newAttemptId: () => {
        this.#attempts += 1;
        return attemptIdSchema.parse(`attempt_000${this.#attempts}`);
      },
      nowMs: 0,
    });
    this.take(this.driver.start(0));
  }

  take(effects: readonly DriverEffect[]): void {
    for (const effect of effects) {
      this.effects.push(effect);
      this.log.push(inWords(effect));
      if (effect.type === "claim" || effect.type === "run" || effect.type === "attach") this.asked = effect.attemptId;
      if (effect.type === "cancelAttempt") this.#stopped = effect.attemptId;
      if (effect.type === "wait") this.#waitMs = effect.ms;
    }
  }

  get of(): AttemptId {
    if (this.asked === undefined) throw new Error("nothing was asked for");
    return this.asked;
  }

  get stopped(): AttemptId {
    if (this.#stopped === undefined) throw new Error("nothing was told to stop");
    return this.#stopped;
  }

  wait(): void {
    this.nowMs += this.#waitMs;
    this.take(this.driver.waited(this.nowMs));
  }
}

/** An effect in a few words, so that what a driver did reads as a list. */
export function inWords(effect: DriverEffect): string {
  switch (effect.type) {
    case "claim": {
      const not = effect.exclude.length > 0 ? ` not ${effect.exclude.join(" ")}` : "";
      const rather = effect.avoid.length > 0 ? ` rather not ${effect.avoid.join(" ")}` : "";
      return `${effect.isPatient ? "claim patiently" : "claim"}${not}${rather}`.replaceAll("node_000", "");
    }
    case "run": {
      const after = effect.continues.length > 0 ? ` after ${effect.continues.join(" ")}` : "";
      return `run on ${effect.nodeId}${after}`.replaceAll("node_000", "");
    }
    case "attach":
      return `attach to ${effect.nodeId.replace("node_000", "")} from ${effect.nextSeq}`;
    case "wait":
      return `wait ${effect.ms}`;
    case "withdraw":
      return "withdraw";
    case "cancelAttempt":
      return `cancel on ${effect.nodeId.replace("node_000", "")}${effect.afterMs > 0 ? ` in ${effect.afterMs}` : ""}`;
    case "deliver":
      return `'${effect.text}'`;
    case "deliverVectors":
      return `vectors ${effect.vectors.map(({ index }) => index).join(" ")}`;
    case "deliverReport":
      return `report of ${effect.report.findings.length}`;
    case "restart":
      return "restart";
    case "end":
      return `${effect.finishReason} ${effect.promptTokens}+${effect.completionTokens}`;
    case "record":
      return `record ${effect.ending.state} ${effect.ending.promptTokens}+${effect.ending.completionTokens}`;
    case "refuse":
      return `refuse ${effect.code}`;
  }
}

export type Move = (table: Table) => void;

export const lease =
  (number: number): Move =>
  (table) =>
    table.take(table.driver.claimed(table.of, { kind: "lease", nodeId: node(number) }, table.nowMs));
export const noRoom =
  (code: "no_live_node" | "no_free_node" | "queue_full"): Move =>
  (table) =>
    table.take(table.driver.claimed(table.of, { kind: "refuse", code }, table.nowMs));
export const claimBreaks: Move = (table) =>
  table.take(table.driver.claimed(table.of, { kind: "broken", reason: "reset" }, table.nowMs));
export const full: Move = (table) => table.take(table.driver.ran(table.of, { kind: "full" }, table.nowMs));
export const offline: Move = (table) => table.take(table.driver.ran(table.of, { kind: "offline" }, table.nowMs));
export const runFails =
  (how: FailedHow): Move =>
  (table) =>
    table.take(table.driver.ran(table.of, { kind: "failed", how, reason: "so" }, table.nowMs));
export const refuses =
  (fault: TaskFault): Move =>
  (table) =>
    table.take(table.driver.ran(table.of, { kind: "refused", fault }, table.nowMs));
export const runBreaks: Move = (table) =>
  table.take(table.driver.ran(table.of, { kind: "broken", reason: "reset" }, table.nowMs));
/** The node took it; `early` is told at once, the rest follows. */
export const accepts =
  (...early: AttemptEvent[]): Move =>
  (table) =>
    table.take(table.driver.ran(table.of, { kind: "accepted", promptTokens: 5, early, events: {} }, table.nowMs));
/** All there is was told at once. */
export const acceptsWhole =
  (...early: AttemptEvent[]): Move =>
  (table) =>
    table.take(table.driver.ran(table.of, { kind: "accepted", promptTokens: 5, early, events: null }, table.nowMs));
export const told =
  (...events: AttemptEvent[]): Move =>
  (table) =>
    table.take(table.driver.told(table.of, events, table.nowMs));
export const cut: Move = (table) => table.take(table.driver.broken(table.of, table.nowMs));
export const attaches =
  (...early: AttemptEvent[]): Move =>
  (table) =>
    table.take(table.driver.attached(table.of, { kind: "accepted", promptTokens: 5, early, events: {} }, table.nowMs));
export const isUnknown: Move = (table) => table.take(table.driver.attached(table.of, { kind: "unknown" }, table.nowMs));
export const attachBreaks: Move = (table) =>
  table.take(table.driver.attached(table.of, { kind: "broken", reason: "reset" }, table.nowMs));
export const waits: Move = (table) => table.wait();
export const pass =
  (ms: number): Move =>
  (table) => {
    table.nowMs += ms;
  };
export const leaves: Move = (table) => table.take(table.driver.cancel(table.nowMs));
export const answered =
  (kind: "known" | "unknown"): Move =>
  (table) =>
    table.take(table.driver.cancelAnswered(table.stopped, { kind }));
export const cancelBreaks: Move = (table) =>
  table.take(table.driver.cancelAnswered(table.stopped, { kind: "broken", reason: "reset" }));

/** A piece: one token whose text is its letter, `a` for 0. */
export const piece = (seq: number, text = "abcdefghij".charAt(seq)): AttemptEvent => ({
  type: "delta",
  seq,
  text,
  tokenIds: [100 + seq],
});
export const commit = (completionTokens: number): AttemptEvent => ({
  type: "committed",
  finishReason: "stop",
  promptTokens: 5,
  completionTokens,
});
export const fails = (how: FailedHow): AttemptEvent => ({ type: "failed", how, reason: "so" });
export const vector = (seq: number, index: number): AttemptEvent => ({
  type: "delta",
  seq,
  vectors: [{ index, float32: "AACAPwAAAAA=" }],
});
export const tooLong = (promptTokens: number, contextTokens: number): TaskFault => ({
  code: "context_length_exceeded",
  promptTokens,
  contextTokens,
  inputIndex: 0,
});

/** What the driver does at the last of these moves, after its own first claim; `all` of it on request. */
export function play(
  moves: readonly Move[],
  { all = false, ...fields }: { all?: boolean } & ConstructorParameters<typeof Table>[0] = {},
) {
  const table = new Table(fields);
  for (const move of moves) {
    if (!all) table.log = [];
    move(table);
  }
  return { log: table.log, table };
}

export type Row = [guarantee: string, moves: Move[], does: string[]];
