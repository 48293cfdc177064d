import { env, runInDurableObject } from "cloudflare:test";
import { afterEach, describe, expect, test, vi } from "vitest";
import { keyIdSchema, newAccountId, randomText } from "../../core/ids.ts";
import { accountStub, newCard, nodeStub, poolStub, welcomed } from "../../test/workerd/deployment.ts";
import { closeNodes } from "../../test/workerd/fake-node.ts";
import { standInForPostgres } from "../../test/workerd/fake-postgres.ts";
import { accountMigrations } from "./account-tables.ts";
import { Alarm } from "./alarm.ts";
import { isMigrated, migrate } from "./migrate.ts";
import { nodeMigrations } from "./node-tables.ts";
import { statusStub } from "./status-object.ts";

standInForPostgres();
afterEach(async () => {
  await closeNodes();
  vi.restoreAllMocks();
});

/** The storage of an object that nobody else knows; its class has an alarm and a table `members` of its own. */
function withStorage<Result>(use: (storage: DurableObjectStorage) => Result | Promise<Result>): Promise<Result> {
  return runInDurableObject(env.POOL.get(env.POOL.idFromName(randomText(20))), (_pool, state) => use(state.storage));
}

/** Every table and index as SQLite keeps it, one a line, white space folded. */
function ddlOf(storage: DurableObjectStorage): string {
  return storage.sql
    .exec<{ sql: string }>(
      "SELECT sql FROM sqlite_master WHERE sql IS NOT NULL AND name NOT LIKE '\\_cf%' ESCAPE '\\' ORDER BY name",
    )
    .toArray()
    .map(({ sql }) => sql.replace(/\s+/g, " "))
    .join("\n");
}

describe("the tables of each object are these, and changing one takes a new migration", () => {
  test("AccountObject", async () => {
    const accountId = newAccountId();
    await accountStub(accountId).createKey({ accountId, name: "tests" });
    const ddl = await runInDurableObject(accountStub(accountId), (_account, state) => ddlOf(state.storage));
    expect(ddl).toMatchInlineSnapshot(`
      "CREATE TABLE account (id TEXT PRIMARY KEY, created_at_ms INTEGER NOT NULL)
      CREATE TABLE invite_nodes ( invite_id TEXT NOT NULL REFERENCES invites (id), node_id TEXT NOT NULL, PRIMARY KEY (invite_id, node_id) )
      CREATE TABLE invites ( id TEXT PRIMARY KEY, secret_sha256 TEXT NOT NULL UNIQUE, name TEXT NOT NULL, hint TEXT NOT NULL, max_nodes INTEGER NOT NULL, created_at_ms INTEGER NOT NULL, expires_at_ms INTEGER, revoked_at_ms INTEGER )
      CREATE TABLE keys ( id TEXT PRIMARY KEY, secret_sha256 TEXT NOT NULL UNIQUE, name TEXT NOT NULL, hint TEXT NOT NULL, created_at_ms INTEGER NOT NULL, revoked_at_ms INTEGER )
      CREATE TABLE migrations (number INTEGER PRIMARY KEY)
      CREATE TABLE "outbox" (id INTEGER PRIMARY KEY, entry TEXT NOT NULL, attempt_id TEXT, lease TEXT)
      CREATE TABLE outbox_set_aside (id INTEGER PRIMARY KEY, entry TEXT NOT NULL, problem TEXT NOT NULL)
      CREATE TABLE shelf ( id TEXT PRIMARY KEY, kind TEXT NOT NULL, created_at_ms INTEGER NOT NULL, expires_at_ms INTEGER, body TEXT NOT NULL )
      CREATE INDEX shelf_by_kind ON shelf (kind, created_at_ms, id)
      CREATE TABLE sqlite_sequence(name,seq)"
    `);
  });

  test("ResponseObject", async () => {
    const stub = env.RESPONSE.get(env.RESPONSE.idFromName(randomText(20)));
    await stub.save("account", { body: { id: "resp_1", status: "completed" }, inputItems: [], turns: [] });
    const ddl = await runInDurableObject(stub, (_response, state) => ddlOf(state.storage));
    expect(ddl).toMatchInlineSnapshot(`
      "CREATE TABLE migrations (number INTEGER PRIMARY KEY)
      CREATE TABLE texts (name TEXT NOT NULL, place INTEGER NOT NULL, text TEXT NOT NULL, PRIMARY KEY (name, place))"
    `);
  });

  test("SessionObject", async () => {
    const stub = env.SESSION.get(env.SESSION.idFromName(randomText(20)));
    const accountId = newAccountId();
    await stub.begin({
      ...{ id: "batch_1", endpoint: "/v1/embeddings", inputFileId: "file-1", metadata: null, status: "validating" },
      ...{ principal: { accountId, keyId: keyIdSchema.parse("key_one0") }, errors: [], createdAtMs: 1, expiresAtMs: 2 },
      ...{ outputFileId: null, errorFileId: null, inProgressAtMs: null, finalizingAtMs: null, cancellingAtMs: null },
      endedAtMs: null,
    });
    const ddl = await runInDurableObject(stub, (_session, state) => ddlOf(state.storage));
    expect(ddl).toMatchInlineSnapshot(`
      "CREATE TABLE lines ( place INTEGER PRIMARY KEY, custom_id TEXT NOT NULL, state TEXT NOT NULL, tries INTEGER NOT NULL DEFAULT 0 )
      CREATE INDEX lines_by_state ON lines (state, place)
      CREATE TABLE migrations (number INTEGER PRIMARY KEY)
      CREATE TABLE texts (name TEXT NOT NULL, place INTEGER NOT NULL, text TEXT NOT NULL, PRIMARY KEY (name, place))"
    `);
  });

  test("NodeObject", async () => {
    const node = await welcomed([newCard()]);
    const ddl = await runInDurableObject(nodeStub(node), (_node, state) => ddlOf(state.storage));
    expect(ddl).toMatchInlineSnapshot(`
      "CREATE TABLE migrations (number INTEGER PRIMARY KEY)
      CREATE TABLE node ( id TEXT PRIMARY KEY, account_id TEXT NOT NULL, public_key TEXT NOT NULL, epoch INTEGER NOT NULL, registered_at_ms INTEGER NOT NULL, models TEXT NOT NULL , resume_token TEXT NOT NULL DEFAULT '', flaps TEXT NOT NULL DEFAULT '{"lossesMs":[],"asideUntilMs":0,"timesAside":0}')
      CREATE TABLE "outbox" (id INTEGER PRIMARY KEY, entry TEXT NOT NULL, attempt_id TEXT, lease TEXT)
      CREATE TABLE outbox_set_aside (id INTEGER PRIMARY KEY, entry TEXT NOT NULL, problem TEXT NOT NULL)
      CREATE TABLE sqlite_sequence(name,seq)
      CREATE TABLE trust (reputation TEXT NOT NULL)
      CREATE TABLE trust_marks (id TEXT PRIMARY KEY, mark TEXT NOT NULL, at_ms INTEGER NOT NULL)"
    `);
  });

  test("PoolObject", async () => {
    const ddl = await runInDurableObject(poolStub(newCard()), (_pool, state) => ddlOf(state.storage));
    expect(ddl).toMatchInlineSnapshot(`
      "CREATE TABLE members (node_id TEXT PRIMARY KEY, card TEXT NOT NULL, heard_at_ms INTEGER NOT NULL, operator TEXT, ability TEXT NOT NULL DEFAULT 'own')
      CREATE TABLE migrations (number INTEGER PRIMARY KEY)
      CREATE TABLE self (name TEXT NOT NULL, shards INTEGER)"
    `);
  });

  test("StatusObject", async () => {
    const ddl = await runInDurableObject(statusStub(env), (_status, state) => ddlOf(state.storage));
    expect(ddl).toMatchInlineSnapshot(`
      "CREATE TABLE migrations (number INTEGER PRIMARY KEY)
      CREATE TABLE models ( file_sha256 TEXT PRIMARY KEY, first_seen_at_ms INTEGER NOT NULL, at_ms INTEGER NOT NULL, shards INTEGER NOT NULL )
      CREATE TABLE shard_reports ( file_sha256 TEXT NOT NULL, shard INTEGER NOT NULL, at_ms INTEGER NOT NULL, live_nodes INTEGER NOT NULL, report TEXT NOT NULL, PRIMARY KEY (file_sha256, shard) )"
    `);
  });
});

describe("migrate", () => {
  const first = { number: 101, sql: "CREATE TABLE one (a TEXT); CREATE TABLE two (b TEXT)" };
  const second = { number: 102, sql: "ALTER TABLE one ADD COLUMN c TEXT" };

  test("each migration is applied once, in order, whatever was applied before", () =>
    withStorage((storage) => {
      expect(migrate(storage, [first])).toEqual([101]);
      expect(migrate(storage, [first])).toEqual([]);
      expect(migrate(storage, [first, second])).toEqual([102]);
      const ddl = ddlOf(storage);
      expect(migrate(storage, [first, second])).toEqual([]);
      expect(ddlOf(storage)).toBe(ddl);
    }));

  test("a migration that fails changes nothing, not even by those before it", () =>
    withStorage((storage) => {
      const before = ddlOf(storage);
      expect(() => migrate(storage, [first, { number: 102, sql: "ALTER TABLE nowhere ADD COLUMN c TEXT" }])).toThrow();
      expect(ddlOf(storage)).toBe(before);
      expect(migrate(storage, [first])).toEqual([101]);
    }));

  test.each([
    ["AccountObject", accountMigrations],
    ["NodeObject", nodeMigrations],
  ])("the numbers of %s ascend and none comes twice", (_object, migrations) => {
    const numbers = migrations.map((migration) => migration.number);
    expect(numbers).toEqual([...new Set(numbers)].sort((one, other) => one - other));
  });

  test("storage that nothing was written to is known as such", () =>
    runInDurableObject(accountStub(newAccountId()), (_account, state) => {
      expect(isMigrated(state.storage)).toBe(false);
      migrate(state.storage, accountMigrations);
      expect(isMigrated(state.storage)).toBe(true);
    }));
});

describe("Alarm", () => {
  const soonMs = () => Date.now() + 3_600_000;
  const nothing = () => Promise.resolve(undefined);

  test("the earliest time wins, whatever the order", () =>
    withStorage(async (storage) => {
      const alarm = new Alarm(storage, [nothing]);
      const baseMs = soonMs();
      await alarm.ringBy(baseMs + 20);
      await alarm.ringBy(baseMs + 30);
      expect(await storage.getAlarm()).toBe(baseMs + 20);
      await alarm.ringBy(baseMs + 10);
      expect(await storage.getAlarm()).toBe(baseMs + 10);
    }));

  test("the earliest time wins also where two are asked for at once", () =>
    withStorage(async (storage) => {
      const baseMs = soonMs();
      const alarm = new Alarm(storage, [nothing]);
      await Promise.all([alarm.ringBy(baseMs + 10), alarm.ringBy(baseMs + 20)]);
      expect(await storage.getAlarm()).toBe(baseMs + 10);
    }));

  test("an alarm that was set before a reset is not put off", () =>
    withStorage(async (storage) => {
      const baseMs = soonMs();
      await new Alarm(storage, [nothing]).ringBy(baseMs);
      await new Alarm(storage, [nothing]).ringBy(baseMs + 10);
      expect(await storage.getAlarm()).toBe(baseMs);
    }));

  test("every duty is done at a ring, and the next ring is the earliest that one asks for", () =>
    withStorage(async (storage) => {
      const baseMs = soonMs();
      const done: string[] = [];
      const duty = (name: string, nextMs: number | undefined) => () => {
        done.push(name);
        return Promise.resolve(nextMs);
      };
      await new Alarm(storage, [duty("a", baseMs + 20), duty("b", undefined), duty("c", baseMs + 10)]).ring(Date.now());
      expect(done).toEqual(["a", "b", "c"]);
      expect(await storage.getAlarm()).toBe(baseMs + 10);
    }));

  test("no ring is set where no duty asks for one", () =>
    withStorage(async (storage) => {
      await new Alarm(storage, [nothing]).ring(Date.now());
      expect(await storage.getAlarm()).toBeNull();
    }));

  test("a duty that fails stops no other, never makes the ring throw, and is tried again in five seconds", () =>
    withStorage(async (storage) => {
      vi.spyOn(console, "error").mockReturnValue(undefined);
      const after = vi.fn(nothing);
      const nowMs = soonMs();
      await new Alarm(storage, [() => Promise.reject(new Error("broken")), after]).ring(nowMs);
      expect(after).toHaveBeenCalledOnce();
      expect(await storage.getAlarm()).toBe(nowMs + 5_000);
    }));
});
