import { asc, sql } from "drizzle-orm";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { accountIdSchema, networkAccountId } from "../../core/ids.ts";
import { limits } from "../../core/limits.ts";
import type { RecordEntry } from "../../core/record/entry.ts";
import { attemptStates } from "../../core/task/attempt-moves.ts";
import { taskStates } from "../../core/task/task-moves.ts";
import { connect, type Database } from "../../db/connection.ts";
import { mergeEntries } from "../../db/merge-entries.ts";
import { migrate } from "../../db/migrate.ts";
import { abandonedAfterMs, closeAbandonedTasks } from "../../db/queries/close-abandoned-tasks.ts";
import { listInvites } from "../../db/queries/list-invites.ts";
import { listKeys } from "../../db/queries/list-keys.ts";
import { listSuspensions } from "../../db/queries/list-suspensions.ts";
import { usageOfAccount } from "../../db/queries/usage-of-account.ts";
import { record } from "../../db/record.ts";
import { accounts } from "../../db/schema/accounts.ts";
import { attempts } from "../../db/schema/attempts.ts";
import { invites } from "../../db/schema/invites.ts";
import { keys } from "../../db/schema/keys.ts";
import { nodes } from "../../db/schema/nodes.ts";
import { suspensions } from "../../db/schema/suspensions.ts";
import { tasks } from "../../db/schema/tasks.ts";
import { usage } from "../../db/schema/usage.ts";
import { verdicts } from "../../db/schema/verdicts.ts";
import { account, attempt, invite, key, node, startMs, suspension, task, verdict } from "../../db/testing/entries.ts";
import { randomTellings } from "../../db/testing/random-tellings.ts";
import { seededRandom } from "../../db/testing/seeded-random.ts";
import { type PostgresEndpoint, startPostgresEndpoint } from "./endpoint.ts";

let endpoint: PostgresEndpoint;
let database: Database;
const alice = accountIdSchema.parse("acctalice");

beforeAll(async () => {
  endpoint = await startPostgresEndpoint({ password: "secret" });
  database = connect({ databaseUrl: endpoint.connectionString, fetchEndpoint: endpoint.fetchEndpoint });
  expect(await migrate(database)).toEqual(["0000_record", "0001_verdicts"]);
}, 60_000);
afterAll(() => endpoint.close());
beforeEach(async () => {
  const tables = [accounts, keys, invites, nodes, tasks, attempts, verdicts, suspensions] as const;
  // Far quicker than TRUNCATE, which makes new files for every table and index.
  await database.batch([database.delete(usage), ...tables.map((table) => database.delete(table))]);
});

/** All rows of the record, as `mergeEntries` gives them, and those of `usage`. */
async function everything() {
  const [accountRows, keyRows, inviteRows, nodeRows, taskRows, attemptRows, usageRows, ...others] =
    await database.batch([
      database
        .select()
        .from(accounts)
        .orderBy(asc(sql`${accounts.accountId} collate "C"`)),
      database
        .select()
        .from(keys)
        .orderBy(asc(sql`${keys.keyId} collate "C"`)),
      database
        .select()
        .from(invites)
        .orderBy(asc(sql`${invites.inviteId} collate "C"`)),
      database
        .select()
        .from(nodes)
        .orderBy(asc(sql`${nodes.nodeId} collate "C"`)),
      database
        .select()
        .from(tasks)
        .orderBy(asc(sql`${tasks.taskId} collate "C"`)),
      database
        .select()
        .from(attempts)
        .orderBy(asc(sql`${attempts.attemptId} collate "C"`)),
      database
        .select()
        .from(usage)
        .orderBy(asc(sql`${usage.taskId} collate "C"`)),
      database
        .select()
        .from(verdicts)
        .orderBy(asc(sql`${verdicts.taskId} collate "C"`)),
      database
        .select()
        .from(suspensions)
        .orderBy(asc(sql`${suspensions.nodeId} collate "C"`)),
    ]);
  const [verdictRows, suspensionRows] = others;
  const rows = { accounts: accountRows, keys: keyRows, invites: inviteRows, nodes: nodeRows };
  const checks = { verdicts: verdictRows, suspensions: suspensionRows };
  return { rows: { ...rows, tasks: taskRows, attempts: attemptRows, ...checks }, usage: usageRows };
}

async function recordEach(entries: readonly RecordEntry[]): Promise<void> {
  for (const entry of entries) await record(database, [entry]);
}

test("migrating a migrated database applies nothing", async () => {
  expect(await migrate(database)).toEqual([]);
});

test("every state of core is storable and no other is", async () => {
  for (const state of taskStates) await record(database, [task(`s${state.replace("_", "")}`, { state })]);
  const told = attemptStates.map((state) => attempt(`s${state}`, { state }));
  await record(database, [task("all", { attempts: told })]);
  const stored = await everything();
  expect(new Set(stored.rows.tasks.map((row) => row.state))).toEqual(new Set(taskStates));
  expect(new Set(stored.rows.attempts.map((row) => row.state))).toEqual(new Set(attemptStates));
  const wrong = database.execute(sql`update tasks set state = 'asleep'`);
  await expect(wrong).rejects.toMatchObject({ cause: { code: "23514", constraint: "tasks_state" } });
});

test("what was told is what is read, to the millisecond, the last count and every kind of text", async () => {
  const largest = Number.MAX_SAFE_INTEGER;
  const entries = [
    account("alice", { name: "naïve 😀 'quoted' \\ \"double\" \n {}", createdAtMs: startMs + 123 }),
    key("k", { revokedAtMs: startMs + 7 }),
    invite("i", { maxNodes: largest, expiresAtMs: startMs }),
    node("n"),
    task("t", {
      promptTokens: largest,
      finishReason: "length",
      attempts: [attempt("a", { ackedAtMs: startMs + 1, firstTokenAtMs: startMs + 2, completionTokens: largest })],
    }),
    task("u", { state: "failed", errorCode: "no_live_node", task: "embedding" }),
  ];
  await record(database, entries);
  expect((await everything()).rows).toEqual(mergeEntries(entries));
});

test("text that Postgres cannot hold is stored with a mark in its place, also inside a node's models", async () => {
  const told = node("n", { name: "bad\u0000name \uD83D!" });
  if (told.kind !== "node") throw new Error("a node was asked for");
  const models = told.models.map((model) => ({ ...model, quantization: "Q4\u0000" }));
  await record(database, [{ ...told, models }]);
  expect((await everything()).rows.nodes).toMatchObject([
    { name: "bad\uFFFDname \uFFFD!", models: [{ quantization: "Q4\uFFFD" }] },
  ]);
});

test("a time beyond what Postgres reads is stored as the last of the year 9999", async () => {
  await record(database, [invite("i", { expiresAtMs: Number.MAX_SAFE_INTEGER })]);
  expect((await listInvites(database))[0]?.expiresAtMs).toBe(Date.UTC(9999, 11, 31, 23, 59, 59, 999));
});

test("a batch that comes twice counts once", async () => {
  const entries = [
    account("alice"),
    key("k"),
    task("t", { promptTokens: 3, completionTokens: 4, attempts: [attempt("a")] }),
  ];
  await record(database, entries);
  const once = await everything();
  await record(database, entries);
  expect(await everything()).toEqual(once);
  expect(await usageOfAccount(database, { accountId: alice, sinceMs: 0 })).toEqual({
    tasks: 1,
    promptTokens: 3,
    completionTokens: 4,
  });
});

test("a batch that Postgres refuses leaves nothing behind", async () => {
  // Only a caller that skipped the schema can send this.
  const broken = { ...task("t"), state: "asleep" as "completed" };
  await expect(record(database, [account("alice"), broken])).rejects.toMatchObject({ code: "23514" });
  expect((await everything()).rows.accounts).toEqual([]);
});

test("no entries are no request, and more than a batch holds are refused", async () => {
  const nowhere = connect({ databaseUrl: "postgres://u:p@nowhere.test/db", fetchEndpoint: "http://127.0.0.1:1/sql" });
  await record(nowhere, []);
  await expect(
    record(
      nowhere,
      Array.from({ length: 501 }, () => account("alice")),
    ),
  ).rejects.toThrow(RangeError);
});

test("100 tasks whose attempts pass 65,535 values are one request of four statements", async () => {
  const entries = Array.from({ length: limits.outboxBatchEntries }, (_, number) =>
    task(`t${number}`, {
      promptTokens: 1,
      attempts: Array.from({ length: 64 }, (_, which) => attempt(`t${number}x${which}`)),
    }),
  );
  const bodies: string[] = [];
  const spying = connect({
    databaseUrl: endpoint.connectionString,
    fetchEndpoint: endpoint.fetchEndpoint,
    timeoutMs: 60_000,
  });
  const { fetch } = globalThis;
  globalThis.fetch = (address, init) => {
    bodies.push(String(init?.body));
    return fetch(address, init);
  };
  try {
    await record(spying, entries);
  } finally {
    globalThis.fetch = fetch;
  }
  expect(bodies.map((body) => JSON.parse(body).queries.length)).toEqual([4]);
  expect(await database.$count(attempts)).toBe(6_400);
  expect(await database.$count(usage)).toBe(100);
}, 60_000);

test.each<[guarantee: string, tellings: Parameters<typeof task>[1][], tasks: object, billed: object[]]>([
  ["a completed task is billed", [{ promptTokens: 2 }], { state: "completed" }, [{ promptTokens: 2 }]],
  ["a failed task is not billed", [{ state: "failed", promptTokens: 2 }], { state: "failed" }, []],
  ["an expired task is not billed", [{ state: "expired", promptTokens: 2 }], { state: "expired" }, []],
  ["a task cancelled before any token is not billed", [{ state: "cancelled" }], { state: "cancelled" }, []],
  [
    "a task cancelled after tokens came is billed for them",
    [{ state: "cancelled", completionTokens: 2 }],
    { state: "cancelled" },
    [{ completionTokens: 2 }],
  ],
  [
    "a task told cancelled and then failed is not billed",
    [{ state: "cancelled", completionTokens: 2 }, { state: "failed" }],
    { state: "failed" },
    [],
  ],
  [
    "a task told cancelled and then completed is billed for what it completed with",
    [{ state: "cancelled", completionTokens: 2 }, { completionTokens: 9 }],
    { state: "completed" },
    [{ completionTokens: 9 }],
  ],
  [
    "a completion is never billed again",
    [{ completionTokens: 9 }, { completionTokens: 99 }, { state: "cancelled", completionTokens: 999 }],
    { state: "completed", completionTokens: 9 },
    [{ completionTokens: 9 }],
  ],
])("%s", async (_guarantee, tellings, expected, billed) => {
  await recordEach(tellings.map((told) => task("t", told)));
  const { rows, usage: usageRows } = await everything();
  expect(rows.tasks).toMatchObject([expected]);
  expect(usageRows).toMatchObject(billed);
  expect(usageRows).toHaveLength(billed.length);
});

test.each<[guarantee: string, entries: RecordEntry[]]>([
  ["in the same batch", [task("t"), verdict("t", { outcome: "invalid" })]],
  ["after the task", [task("t"), task("other"), verdict("t", { outcome: "invalid" })]],
  ["before the task", [verdict("t", { outcome: "invalid" }), task("t")]],
])("an answer that a check rejects is not billed, though the verdict comes %s", async (_guarantee, entries) => {
  await recordEach(entries);
  const { usage: usageRows } = await everything();
  expect(usageRows.map(({ taskId }) => taskId)).not.toContain("task_t0000");
});

test("an answer whose rejection is overturned is billed after all, in whatever order that comes", async () => {
  const told = [verdict("t", { outcome: "valid", revision: 2 }), verdict("t", { outcome: "invalid" })];
  for (const ordered of [told, told.toReversed()]) {
    await recordEach([task("t"), ...ordered]);
    const { rows, usage: usageRows } = await everything();
    expect(rows.verdicts).toMatchObject([{ outcome: "valid", revision: 2 }]);
    expect(usageRows).toHaveLength(1);
  }
});

test("a check is a task on record, and nobody's to pay", async () => {
  await recordEach([task("t", { accountId: networkAccountId, task: "check", promptTokens: 500 })]);
  const { rows, usage: usageRows } = await everything();
  expect(rows.tasks).toMatchObject([{ task: "check", state: "completed" }]);
  expect(usageRows).toEqual([]);
});

test("nodes that are suspended are listed, the latest first, until it is taken back", async () => {
  const later = { suspendedAtMs: startMs + 1, toldAtMs: startMs + 1 };
  await recordEach([suspension("a"), suspension("b", later), suspension("c")]);
  await recordEach([suspension("c", { suspendedAtMs: null, reason: null, toldAtMs: startMs + 5 }), suspension("c")]);
  const listed = await listSuspensions(database, { limit: 10 });
  expect(listed.map(({ nodeId }) => nodeId)).toEqual(["node_b0000", "node_a0000"]);
});

test("attempts that come before their task are kept, and the task's row takes its end whenever that comes", async () => {
  const lost = attempt("a", { state: "lost", reason: "socket gone" });
  await record(database, [task("t", { state: "queued", attempts: [lost] })]);
  await record(database, [task("t", { state: "completed", completionTokens: 5, attempts: [attempt("b")] })]);
  await record(database, [task("t", { state: "queued", attempts: [{ ...lost, completionTokens: 3 }] })]);
  const { rows } = await everything();
  expect(rows.tasks).toMatchObject([{ state: "completed", completionTokens: 5 }]);
  expect(rows.attempts).toMatchObject([
    { state: "lost", reason: "socket gone", completionTokens: 3 },
    { state: "committed" },
  ]);
});

test.each([[1], [2], [3]])(
  "any order and split of the same tellings, some of them twice, leads to the same record (seed %i)",
  async (seed) => {
    const random = seededRandom(seed);
    const { entries, truth } = randomTellings(random, 40);
    const told = random.shuffled([...entries, ...entries.filter(() => random.below(3) === 0)]);
    const batches: RecordEntry[][] = [];
    while (told.length > 0) batches.push(told.splice(0, 1 + random.below(60)));
    await Promise.all(batches.map((batch) => record(database, batch)));

    const { rows, usage: usageRows } = await everything();
    expect(rows).toEqual(mergeEntries(entries));
    // What the world was made of, which no merge has touched.
    expect(await usageOfAccount(database, { accountId: alice, sinceMs: 0 })).toEqual(truth.billed);
    expect(usageRows).toHaveLength(truth.billed.tasks);
    for (const state of taskStates) {
      const found = rows.tasks.filter((row) => row.state === state);
      expect(found, state).toHaveLength(truth.states[state] ?? 0);
    }
    expect(rows.attempts).toHaveLength(truth.attempts.total);
    expect(rows.attempts.filter((row) => row.state === "committed")).toHaveLength(truth.attempts.committed);
    expect(rows.attempts.reduce((sum, row) => sum + row.promptTokens, 0)).toBe(truth.attempts.promptTokens);
    expect(rows.attempts.reduce((sum, row) => sum + row.completionTokens, 0)).toBe(truth.attempts.completionTokens);
    expect(rows.keys.filter((row) => row.revokedAtMs !== null)).toHaveLength(truth.revokedKeys);
    expect(rows.invites.reduce((sum, row) => sum + row.usedNodes, 0)).toBe(truth.usedNodes);
    expect(rows.nodes.map((row) => row.software)).toEqual(truth.softwareOfNodes);
  },
);

test("keys and invites are listed newest first, of one account or of all, within the limit", async () => {
  const bob = accountIdSchema.parse("acctbob");
  await record(database, [
    key("old", { createdAtMs: 1 }),
    key("new", { createdAtMs: 3 }),
    key("bobs", { createdAtMs: 2, accountId: bob }),
    invite("old", { createdAtMs: 1 }),
    invite("new", { createdAtMs: 3 }),
    invite("bobs", { createdAtMs: 2, accountId: bob }),
  ]);
  for (const list of [listKeys, listInvites]) {
    expect((await list(database)).map((row) => row.name)).toEqual(["new", "bobs", "old"]);
    expect((await list(database, { accountId: alice })).map((row) => row.name)).toEqual(["new", "old"]);
    expect((await list(database, { limit: 1 })).map((row) => row.name)).toEqual(["new"]);
    expect(await list(database, { limit: 0 })).toHaveLength(1);
    expect(await list(database, { limit: 1_000_000 })).toHaveLength(3);
  }
});

test("an account's usage counts its own tasks since the given time", async () => {
  await record(database, [
    task("early", { promptTokens: 1, endedAtMs: startMs }),
    task("late", { promptTokens: 10, completionTokens: 5, endedAtMs: startMs + 1 }),
    task("others", { accountId: "acctbob", promptTokens: 100, endedAtMs: startMs + 1 }),
  ]);
  const sinceMs = startMs + 1;
  expect(await usageOfAccount(database, { accountId: alice, sinceMs })).toEqual({
    tasks: 1,
    promptTokens: 10,
    completionTokens: 5,
  });
  expect(await usageOfAccount(database, { accountId: alice, sinceMs: startMs + 2 })).toEqual({
    tasks: 0,
    promptTokens: 0,
    completionTokens: 0,
  });
});

test("a task that nobody has told of for half an hour since its attempt failed is ended, and no other", async () => {
  const nowMs = startMs + 10 * abandonedAfterMs;
  await record(database, [
    task("left", { state: "queued", endedAtMs: nowMs - abandonedAfterMs - 1 }),
    task("fresh", { state: "queued", endedAtMs: nowMs - abandonedAfterMs + 1 }),
    task("done", { state: "completed", endedAtMs: startMs }),
  ]);
  expect(await closeAbandonedTasks(database, nowMs)).toBe(1);
  expect(await closeAbandonedTasks(database, nowMs)).toBe(0);
  const states = async () =>
    Object.fromEntries((await database.select().from(tasks)).map((row) => [row.taskId, [row.state, row.errorCode]]));
  expect(await states()).toEqual({
    task_left0000: ["failed", "stream_broken"],
    task_fresh0000: ["queued", null],
    task_done0000: ["completed", null],
  });
  await record(database, [task("left", { state: "completed", endedAtMs: nowMs })]);
  expect((await states()).task_left0000).toEqual(["completed", null]);
});
