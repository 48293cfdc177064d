import { env, evictDurableObject, runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { z } from "zod";
import { accountIdSchema, attemptIdSchema, randomText } from "../../core/ids.ts";
import { limits } from "../../core/limits.ts";
import { modelNameSchema } from "../../core/model/model-card.ts";
import type { RecordEntry, TaskRecord } from "../../core/record/entry.ts";
import { LeaseScene } from "../../core/testing/lease-scene.ts";
import { accountStub, newCard, newKey, nodeStub, outboxOf, welcomed } from "../../test/workerd/deployment.ts";
import { closeNodes } from "../../test/workerd/fake-node.ts";
import { standInForPostgres } from "../../test/workerd/fake-postgres.ts";
import { until } from "../../test/workerd/until.ts";
import { migrate } from "./migrate.ts";
import { BatchRefused, Outbox, outboxLeases, outboxTable } from "./outbox.ts";

const postgres = standInForPostgres();
beforeEach(() => {
  vi.spyOn(console, "error").mockReturnValue(undefined);
});
afterEach(async () => {
  vi.restoreAllMocks();
  postgres.isDown = false;
  await closeNodes();
});

const nowMs = 1_000_000;

/** Entries that can be told apart: accounts named by their number. */
const entries = (count: number, from = 0): RecordEntry[] =>
  Array.from({ length: count }, (_, index) => ({
    kind: "account",
    accountId: accountIdSchema.parse(`acct${from + index}`),
    name: String(from + index),
    createdAtMs: 0,
  }));

/** A Postgres that fails as often as it is told to, and then says yes. */
function sender(failures = 0) {
  const sent: RecordEntry[][] = [];
  let left = failures;
  const send = vi.fn((batch: RecordEntry[]) => {
    if (left > 0) {
      left -= 1;
      return Promise.reject(new Error("Postgres is away"));
    }
    sent.push(batch);
    return Promise.resolve();
  });
  return { send, sent };
}

/** An object's storage with an outbox's tables. */
function withSql<Result>(use: (sql: SqlStorage) => Result | Promise<Result>): Promise<Result> {
  return runInDurableObject(env.POOL.get(env.POOL.idFromName(randomText(20))), (_pool, state) => {
    migrate(state.storage, [outboxTable(100), outboxLeases(101)]);
    return use(state.storage.sql);
  });
}

test("entries are sent in the order in which they were added, and then are gone", () =>
  withSql(async (sql) => {
    const { send, sent } = sender();
    const outbox = new Outbox(sql, send);
    expect(outbox.add(entries(2), nowMs)).toBe(nowMs + 500);
    outbox.add(entries(1, 2), nowMs);
    expect(outbox.size()).toBe(3);
    expect(await outbox.flush(nowMs)).toBeUndefined();
    expect(sent).toEqual([entries(3)]);
    expect(outbox.size()).toBe(0);
  }));

test.each([1, 2, 7, 500])(
  "an entry that Postgres refuses is set aside, and %i others are not held up by it",
  (others) =>
    withSql(async (sql) => {
      const sent: RecordEntry[] = [];
      const outbox = new Outbox(sql, (batch) => {
        if (batch.some((entry) => entry.kind === "account" && entry.name === "0")) {
          return Promise.reject(new BatchRefused("22003: out of range"));
        }
        sent.push(...batch);
        return Promise.resolve();
      });
      outbox.add(entries(others + 1), nowMs);
      expect(await outbox.flush(nowMs)).toBeUndefined();
      expect(sent).toEqual(entries(others, 1));
      expect(sql.exec("SELECT entry, problem FROM outbox_set_aside").toArray()).toEqual([
        { entry: JSON.stringify(entries(1)[0]), problem: "22003: out of range" },
      ]);
      expect(outbox.size()).toBe(0);
    }),
);

test("what an object kept before its outbox had room for leases is still sent", () =>
  runInDurableObject(env.POOL.get(env.POOL.idFromName(randomText(20))), async (_pool, { storage }) => {
    migrate(storage, [outboxTable(100)]);
    for (const entry of entries(2)) {
      storage.sql.exec("INSERT INTO outbox (entry) VALUES (?)", JSON.stringify(entry));
    }
    migrate(storage, [outboxTable(100), outboxLeases(101)]);
    const { send, sent } = sender();
    await new Outbox(storage.sql, send).flush(nowMs);
    expect(sent).toEqual([entries(2)]);
  }));

test("an empty outbox sends nothing", () =>
  withSql(async (sql) => {
    const { send } = sender();
    expect(await new Outbox(sql, send).flush(nowMs)).toBeUndefined();
    expect(send).not.toHaveBeenCalled();
  }));

test("entries stay until Postgres has said yes", () =>
  withSql(async (sql) => {
    let confirm: () => void = () => {};
    const outbox = new Outbox(
      sql,
      () =>
        new Promise((resolve) => {
          confirm = resolve;
        }),
    );
    outbox.add(entries(2), nowMs);
    const flushing = outbox.flush(nowMs);
    expect(outbox.size()).toBe(2);
    confirm();
    await flushing;
    expect(outbox.size()).toBe(0);
  }));

test("entries that Postgres did not take stay, and are sent again as they were", () =>
  withSql(async (sql) => {
    const { send, sent } = sender(3);
    const outbox = new Outbox(sql, send);
    outbox.add(entries(2), nowMs);
    for (let failure = 0; failure < 3; failure += 1) {
      expect(await outbox.flush(nowMs)).toBeGreaterThan(nowMs);
      expect(outbox.size()).toBe(2);
    }
    expect(await outbox.flush(nowMs)).toBeUndefined();
    expect(sent).toEqual([entries(2)]);
    expect(send).toHaveBeenCalledTimes(4);
  }));

test("the wait doubles from one second to half a minute, and a yes makes it short again", () =>
  withSql(async (sql) => {
    const { send } = sender(8);
    const outbox = new Outbox(sql, send);
    outbox.add(entries(1), nowMs);
    const waits: (number | undefined)[] = [];
    for (let failure = 0; failure < 8; failure += 1) waits.push(await outbox.flush(nowMs));
    expect(waits.map((atMs) => (atMs ?? 0) - nowMs)).toEqual([
      1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000, 30_000,
    ]);
    expect(outbox.add(entries(1, 1), nowMs)).toBe(nowMs + 30_000);
    await outbox.flush(nowMs);
    expect(outbox.add(entries(1, 2), nowMs)).toBe(nowMs + 500);
  }));

test("a batch holds no more than the record takes", () =>
  withSql(async (sql) => {
    const { send, sent } = sender();
    const outbox = new Outbox(sql, send);
    outbox.add(entries(241), nowMs);
    expect(await outbox.flush(nowMs)).toBeUndefined();
    expect(sent.map((batch) => batch.length)).toEqual([limits.outboxBatchEntries, limits.outboxBatchEntries, 41]);
    expect(sent.flat()).toEqual(entries(241));
    expect(outbox.size()).toBe(0);
  }));

test("what Postgres took before it went away is not sent again", () =>
  withSql(async (sql) => {
    const sent: number[] = [];
    const outbox = new Outbox(sql, (batch) => {
      sent.push(batch.length);
      return sent.length === 2 ? Promise.reject(new Error("away")) : Promise.resolve();
    });
    outbox.add(entries(140), nowMs);
    await outbox.flush(nowMs);
    expect(outbox.size()).toBe(40);
    await outbox.flush(nowMs);
    expect(sent).toEqual([100, 40, 40]);
  }));

test("entries added while a batch is under way follow it, and none is lost", () =>
  withSql(async (sql) => {
    const sent: RecordEntry[][] = [];
    const outbox: Outbox = new Outbox(sql, (batch) => {
      sent.push(batch);
      if (sent.length === 1) outbox.add(entries(1, 1), nowMs);
      return Promise.resolve();
    });
    outbox.add(entries(1), nowMs);
    await outbox.flush(nowMs);
    expect(sent).toEqual([entries(1), entries(1, 1)]);
    expect(outbox.size()).toBe(0);
  }));

test("two flushes at once send once", () =>
  withSql(async (sql) => {
    const { send, sent } = sender();
    const outbox = new Outbox(sql, send);
    outbox.add(entries(1), nowMs);
    await Promise.all([outbox.flush(nowMs), outbox.flush(nowMs)]);
    expect(sent).toEqual([entries(1)]);
  }));

test("entries outlive the object's memory", () =>
  withSql(async (sql) => {
    new Outbox(sql, sender().send).add(entries(2), nowMs);
    const { send, sent } = sender();
    await new Outbox(sql, send).flush(nowMs);
    expect(sent).toEqual([entries(2)]);
  }));

test.each<[guarantee: string, row: string, problem: RegExp]>([
  ["an entry of an unknown kind", '{"kind":"rumour"}', /kind/],
  ["an entry that lacks a field", '{"kind":"account","accountId":"acct","name":"n"}', /createdAtMs/],
  ["an entry that is not JSON", "what is this", /JSON/],
])("%s is set aside with its problem and holds up no other", (_guarantee, row, problem) =>
  withSql(async (sql) => {
    const { send, sent } = sender();
    const outbox = new Outbox(sql, send);
    outbox.add(entries(1), nowMs);
    sql.exec("INSERT INTO outbox (entry) VALUES (?)", row);
    outbox.add(entries(1, 1), nowMs);
    expect(await outbox.flush(nowMs)).toBeUndefined();
    expect(sent).toEqual([entries(2)]);
    expect(outbox.size()).toBe(0);
    expect(sql.exec("SELECT id, entry, problem FROM outbox_set_aside").toArray()).toEqual([
      { id: 1, entry: row, problem: expect.stringMatching(problem) },
    ]);
  }),
);

test("a batch of nothing but unreadable entries is no request", () =>
  withSql(async (sql) => {
    const { send } = sender();
    sql.exec("INSERT INTO outbox (entry) VALUES ('{}')");
    expect(await new Outbox(sql, send).flush(nowMs)).toBeUndefined();
    expect(send).not.toHaveBeenCalled();
  }));

test("an unreadable entry is set aside once, however often its batch is tried", () =>
  withSql(async (sql) => {
    const { send } = sender(2);
    const outbox = new Outbox(sql, send);
    sql.exec("INSERT INTO outbox (entry) VALUES ('{}')");
    outbox.add(entries(1), nowMs);
    for (let flush = 0; flush < 3; flush += 1) await outbox.flush(nowMs);
    expect(sql.exec("SELECT id FROM outbox_set_aside").toArray()).toEqual([{ id: 1 }]);
  }));

test("an entry that gets the number of one set aside meanwhile is not taken for sent", () =>
  withSql(async (sql) => {
    const sent: RecordEntry[][] = [];
    const outbox: Outbox = new Outbox(sql, async (batch) => {
      sent.push(batch);
      if (sent.length === 1) outbox.add(entries(1, 1), nowMs);
    });
    outbox.add(entries(1), nowMs);
    sql.exec("INSERT INTO outbox (entry) VALUES ('{}')");
    await outbox.flush(nowMs);
    expect(sent).toEqual([entries(1), entries(1, 1)]);
    expect(outbox.size()).toBe(0);
  }));

describe("a lease", () => {
  const leaseSchema = z.strictObject({ of: z.string() });
  const idOf = (number: number) => attemptIdSchema.parse(`attempt_000${number}`);
  const lease = (number: number) => ({ of: idOf(number) });
  /** How a task ended. */
  const record = (number: number): TaskRecord => {
    const scene = new LeaseScene();
    scene.fail({ code: "no_slot" });
    const [ended] = scene.records;
    if (ended === undefined) throw new Error("the toy lease left no record");
    return { ...ended, modelName: modelNameSchema.parse(`m${number}`) };
  };
  const ended = (number: number) => ({ attemptId: idOf(number), record: record(number) });
  const ids = (sql: SqlStorage) =>
    sql
      .exec<{ id: number }>("SELECT id FROM outbox ORDER BY id")
      .toArray()
      .map(({ id }) => id);

  test("that is open is in storage, and neither sent nor counted", () =>
    withSql(async (sql) => {
      const { send } = sender();
      const outbox = new Outbox(sql, send);
      outbox.hold(idOf(1), lease(1));
      expect(outbox.size()).toBe(0);
      expect(await outbox.flush(nowMs)).toBeUndefined();
      expect(send).not.toHaveBeenCalled();
      expect(ids(sql)).toEqual([1]);
    }));

  test("is replaced by how it ended, which is sent and then gone", () =>
    withSql(async (sql) => {
      const { send, sent } = sender();
      const outbox = new Outbox(sql, send);
      outbox.hold(idOf(1), lease(1));
      outbox.add(entries(1), nowMs);
      expect(outbox.release([ended(1)], nowMs)).toBe(nowMs + 500);
      expect(ids(sql)).toEqual([1, 2]);
      await outbox.flush(nowMs);
      expect(sent).toEqual([[record(1), ...entries(1)]]);
      expect(ids(sql)).toEqual([]);
    }));

  test("that was never held is an entry as any other", () =>
    withSql(async (sql) => {
      const { send, sent } = sender();
      const outbox = new Outbox(sql, send);
      outbox.release([ended(1)], nowMs);
      await outbox.flush(nowMs);
      expect(sent).toEqual([[record(1)]]);
      expect(outbox.recover(leaseSchema)).toEqual({ open: [], ended: [] });
    }));

  test("that was never held shares its row with all that end at the same time, however many", () =>
    withSql(async (sql) => {
      const { send, sent } = sender();
      const outbox = new Outbox(sql, send);
      const many = Array.from({ length: 51 }, () => ended(1));
      outbox.release(many, nowMs);
      expect(ids(sql)).toEqual([1, 2]);
      expect(outbox.size()).toBe(51);
      await outbox.flush(nowMs);
      expect(sent).toEqual([many.map((end) => end.record)]);
      expect(ids(sql)).toEqual([]);
    }));

  test("that shares its row is recovered by its own end, the latest first", () =>
    withSql((sql) => {
      new Outbox(sql, sender().send).release([ended(1), ended(2)], nowMs);
      expect(new Outbox(sql, sender().send).recover(leaseSchema).ended).toEqual([ended(2), ended(1)]);
    }));

  test("whose end Postgres refuses is set aside, and those of its row are not", () =>
    withSql(async (sql) => {
      const sent: RecordEntry[] = [];
      const outbox = new Outbox(sql, async (batch) => {
        if (batch.some((entry) => entry.kind === "task" && entry.modelName === "m2")) throw new BatchRefused("22003");
        sent.push(...batch);
      });
      outbox.release([ended(1), ended(2), ended(3)], nowMs);
      expect(await outbox.flush(nowMs)).toBeUndefined();
      expect(sent).toEqual([record(1), record(3)]);
      expect(sql.exec("SELECT entry, problem FROM outbox_set_aside").toArray()).toEqual([
        { entry: JSON.stringify(record(2)), problem: "22003" },
      ]);
      expect(outbox.size()).toBe(0);
    }));

  test("whose end a later schema cannot read is set aside, and those of its row are sent", () =>
    withSql(async (sql) => {
      const { send, sent } = sender();
      const row = { ended: [ended(1), { attemptId: idOf(2), record: { kind: "rumour" } }, ended(3)] };
      const stored = { ended: row.ended.map((end) => [end.attemptId, end.record]) };
      sql.exec("INSERT INTO outbox (entry, attempt_id) VALUES (?, ?)", JSON.stringify(stored), idOf(1));
      expect(await new Outbox(sql, send).flush(nowMs)).toBeUndefined();
      expect(sent).toEqual([[record(1), record(3)]]);
      expect(sql.exec("SELECT entry, problem FROM outbox_set_aside").toArray()).toEqual([
        { entry: '{"kind":"rumour"}', problem: expect.stringMatching(/kind/) },
      ]);
    }));

  test("that ends while a batch is on its way is not taken for sent", () =>
    withSql(async (sql) => {
      const sent: RecordEntry[][] = [];
      const outbox: Outbox = new Outbox(sql, (batch) => {
        sent.push(batch);
        if (sent.length === 1) outbox.release([ended(2)], nowMs);
        return Promise.resolve();
      });
      outbox.add(entries(1), nowMs);
      outbox.hold(idOf(2), lease(2));
      outbox.add(entries(1, 1), nowMs);
      await outbox.flush(nowMs);
      expect(sent).toEqual([entries(2), [record(2)]]);
      expect(ids(sql)).toEqual([]);
    }));

  test("outlives the object's memory, and its end then takes its place", () =>
    withSql(async (sql) => {
      new Outbox(sql, sender().send).hold(idOf(1), lease(1));
      const { send, sent } = sender();
      const outbox = new Outbox(sql, send);
      expect(outbox.recover(leaseSchema)).toEqual({ open: [lease(1)], ended: [] });
      outbox.release([ended(1)], nowMs);
      expect(ids(sql)).toEqual([1]);
      await outbox.flush(nowMs);
      expect(sent).toEqual([[record(1)]]);
    }));

  test("whose end Postgres does not have yet is recovered by that end, and once it has it not at all", () =>
    withSql(async (sql) => {
      const before = new Outbox(sql, sender().send);
      before.hold(idOf(1), lease(1));
      before.release([ended(1)], nowMs);
      const after = new Outbox(sql, sender().send);
      expect(after.recover(leaseSchema)).toEqual({ open: [], ended: [{ attemptId: idOf(1), record: record(1) }] });
      await after.flush(nowMs);
      expect(new Outbox(sql, sender().send).recover(leaseSchema)).toEqual({ open: [], ended: [] });
    }));

  test.each([
    ["of a later schema", { of: "x", more: 1 }, /more/],
    ["of an earlier one", {}, /of/],
  ])("%s is set aside with its problem, and hinders no other", (_what, unreadable, problem) =>
    withSql(async (sql) => {
      const before = new Outbox(sql, sender().send);
      before.hold(idOf(1), unreadable);
      before.hold(idOf(2), lease(2));
      const outbox = new Outbox(sql, sender().send);
      expect(outbox.recover(leaseSchema).open).toEqual([lease(2)]);
      expect(sql.exec("SELECT id, entry, problem FROM outbox_set_aside").toArray()).toEqual([
        { id: 1, entry: JSON.stringify(unreadable), problem: expect.stringMatching(problem) },
      ]);
      expect(ids(sql)).toEqual([2]);
    }),
  );

  test("that is open is recovered before any that ended, however many wait for Postgres", () =>
    withSql((sql) => {
      const before = new Outbox(sql, sender().send);
      before.hold(idOf(0), lease(0));
      const ended = JSON.stringify(record(1));
      sql.exec(
        `WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < ?)
         INSERT INTO outbox (entry, attempt_id) SELECT ?, 'attempt_1' || printf('%04d', n) FROM numbers`,
        limits.heldAttempts,
        ended,
      );
      const recovered = new Outbox(sql, sender().send).recover(leaseSchema);
      expect(recovered.open).toEqual([lease(0)]);
      expect(recovered.ended).toHaveLength(limits.heldAttempts - 1);
      // The latest of them.
      expect(recovered.ended[0]?.attemptId).toBe(`attempt_1${limits.heldAttempts}`);
    }));
});

describe("with the real objects and Postgres down", () => {
  test("a key is made and works, its entries wait, and the alarm brings them once Postgres is back", async () => {
    postgres.isDown = true;
    const { id, accountId } = await newKey();
    const stub = accountStub(accountId);
    expect(await outboxOf(stub)).toMatchObject([
      { kind: "account", accountId },
      { kind: "key", keyId: id, revokedAtMs: null },
    ]);
    expect(await runDurableObjectAlarm(stub)).toBe(true);
    expect(await outboxOf(stub)).toHaveLength(2);
    postgres.isDown = false;
    // It failed, so it has set itself again.
    expect(await runDurableObjectAlarm(stub)).toBe(true);
    expect(await outboxOf(stub)).toEqual([]);
    expect(postgres.batches.filter((batch) => batch.includes(id))).toHaveLength(1);
    expect(await runDurableObjectAlarm(stub)).toBe(false);
  });

  test("a node's entry waits and is sent once Postgres is back", async () => {
    postgres.isDown = true;
    const node = await welcomed([newCard()]);
    const stub = nodeStub(node);
    await runDurableObjectAlarm(stub);
    expect(await outboxOf(stub)).toMatchObject([{ kind: "node", nodeId: node.nodeId }]);
    postgres.isDown = false;
    await until(async () => {
      await runDurableObjectAlarm(stub);
      return (await outboxOf(stub)).length === 0 || undefined;
    }, "an empty outbox");
    expect(postgres.batches.some((batch) => batch.includes(node.nodeId))).toBe(true);
  });

  test("an entry that nobody can read does not stop a node's alarm", async () => {
    const node = await welcomed([newCard()]);
    const stub = nodeStub(node);
    const size = await runInDurableObject(stub, async (object, state) => {
      state.storage.sql.exec("INSERT INTO outbox (entry) VALUES ('not even JSON')");
      await object.alarm();
      // The next check of the socket.
      expect(await state.storage.getAlarm()).not.toBeNull();
      return state.storage.sql.exec("SELECT id FROM outbox").toArray().length;
    });
    expect(size).toBe(0);
  });

  test("an alarm never throws: a node's object that cannot read its storage tries again", async () => {
    const stub = nodeStub(await welcomed([newCard()]));
    const rename = (from: string, to: string) =>
      runInDurableObject(stub, (_node, state) => {
        state.storage.sql.exec(`ALTER TABLE ${from} RENAME TO ${to}`);
      });
    await rename("outbox", "hidden");
    expect(await runDurableObjectAlarm(stub)).toBe(true);
    expect(console.error).toHaveBeenCalledWith(expect.stringMatching(/^alarm: a duty failed/), expect.anything());
    await evictDurableObject(stub);
    // Nor does one that has not read it yet.
    expect(await runDurableObjectAlarm(stub)).toBe(true);
    await rename("hidden", "outbox");
    expect(await runDurableObjectAlarm(stub)).toBe(true);
  });

  test("an alarm never throws: a node's object that knows no node has nothing to do", async () => {
    await runInDurableObject(nodeStub({ nodeId: `node_${randomText(32)}` }), (object) => object.alarm());
  });
});
