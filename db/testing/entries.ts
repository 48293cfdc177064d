import type { z } from "zod";
import {
  type AttemptRecord,
  attemptRecordSchema,
  type RecordEntry,
  recordEntrySchema,
  taskRecordSchema,
} from "../../core/record/entry.ts";

// Valid entries for tests: what a test does not care about has a default, and `name` makes ids that can be read.

type EntryOf<Kind extends RecordEntry["kind"]> = Extract<z.input<typeof recordEntrySchema>, { kind: Kind }>;

/** 2026-01-01T00:00:00Z. */
export const startMs = Date.UTC(2026, 0, 1);
export const modelSha256 = "ab".repeat(32);

export function account(name: string, given: Partial<EntryOf<"account">> = {}): RecordEntry {
  return recordEntrySchema.parse({ kind: "account", accountId: `acct${name}`, name, createdAtMs: startMs, ...given });
}

export function key(name: string, given: Partial<EntryOf<"key">> = {}): RecordEntry {
  const ids = { keyId: `key_${name}0000`, accountId: "acctalice" };
  return recordEntrySchema.parse({
    kind: "key",
    ...ids,
    name,
    hint: "x7f2",
    createdAtMs: startMs,
    revokedAtMs: null,
    ...given,
  });
}

export function invite(name: string, given: Partial<EntryOf<"invite">> = {}): RecordEntry {
  const ids = { inviteId: `invite_${name}0000`, accountId: "acctalice" };
  const counts = { maxNodes: 10, usedNodes: 0 };
  const times = { createdAtMs: startMs, expiresAtMs: null, revokedAtMs: null };
  return recordEntrySchema.parse({ kind: "invite", ...ids, name, hint: "k2p9", ...counts, ...times, ...given });
}

export function verdict(task: string, given: Partial<EntryOf<"verdict">> = {}): RecordEntry {
  return recordEntrySchema.parse({
    kind: "verdict",
    taskId: `task_${task}0000`,
    ...{ nodeId: "node_n0000", operator: "acctoscar", modelName: "smollm2-135m-instruct", modelSha256 },
    ...{ outcome: "valid", meanMargin: 0.004, positions: 17, reasons: [], validators: ["node_v0000"] },
    ...{ revision: 1, atMs: startMs },
    ...given,
  });
}

export function suspension(name: string, given: Partial<EntryOf<"suspension">> = {}): RecordEntry {
  const told = { suspendedAtMs: startMs, reason: "Its answers failed their checks.", toldAtMs: startMs };
  return recordEntrySchema.parse({ kind: "suspension", nodeId: `node_${name}0000`, ...told, ...given });
}

export function node(name: string, given: Partial<EntryOf<"node">> = {}): RecordEntry {
  const models = [
    {
      name: "smollm2-135m-instruct",
      fileSha256: modelSha256,
      kind: "chat",
      sizeBytes: 98_362_432,
      quantization: "Q4_1",
      architecture: "llama",
      contextTokens: 2_048,
      slots: 2,
      tokensPerSecond: 41.5,
    },
  ];
  return recordEntrySchema.parse({
    kind: "node",
    nodeId: `node_${name}0000`,
    accountId: "acctoscar",
    name,
    publicKey: "pk",
    software: "cortensor-node 0.1.0",
    models,
    registeredAtMs: startMs,
    seenAtMs: startMs,
    ...given,
  });
}

export function attempt(name: string, given: Partial<z.input<typeof attemptRecordSchema>> = {}): AttemptRecord {
  return attemptRecordSchema.parse({
    attemptId: `attempt_${name}0000`,
    nodeId: "node_n10000",
    state: "committed",
    reason: null,
    promptTokens: 0,
    completionTokens: 0,
    assignedAtMs: startMs,
    ackedAtMs: null,
    firstTokenAtMs: null,
    endedAtMs: startMs + 1_000,
    ...given,
  });
}

export function task(name: string, given: Partial<z.input<typeof taskRecordSchema>> = {}) {
  return taskRecordSchema.parse({
    kind: "task",
    taskId: `task_${name}0000`,
    accountId: "acctalice",
    keyId: "key_alice0000",
    modelName: "smollm2-135m-instruct",
    modelSha256,
    task: "chat",
    state: "completed",
    finishReason: null,
    errorCode: null,
    promptTokens: 0,
    completionTokens: 0,
    createdAtMs: startMs,
    endedAtMs: startMs + 1_000,
    attempts: [],
    ...given,
  });
}
