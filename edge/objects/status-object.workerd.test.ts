import { env, runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { describe, expect, test } from "vitest";
import { randomText } from "../../core/ids.ts";
import { catalogue } from "../../core/model/catalogue.ts";
import type { ModelCard } from "../../core/model/model-card.ts";
import { newCard } from "../../test/workerd/deployment.ts";
import { standInForPostgres } from "../../test/workerd/fake-postgres.ts";
import { migrate } from "./migrate.ts";
import { type PoolReport, statusMigrations } from "./status-object.ts";

/** A StatusObject of its own. */
const status = () => env.STATUS.get(env.STATUS.idFromName(randomText(20)));

const report = (card: ModelCard, fields: Partial<PoolReport> = {}): PoolReport => ({
  card,
  liveNodes: 1,
  slots: 4,
  freeSlots: 3,
  waiting: 2,
  atMs: Date.now(),
  ...fields,
});

test("a model is known by its name, with what its pool last told", async () => {
  const stub = status();
  const card = newCard();
  const told = report(card);
  await stub.reportPool(told);
  expect(await stub.models()).toEqual([{ ...told, shards: 1, id: card.name, firstSeenAtMs: told.atMs }]);
});

test("a later report replaces an earlier one; one that comes late changes nothing", async () => {
  const stub = status();
  const card = newCard();
  const nowMs = Date.now();
  await stub.reportPool(report(card, { atMs: nowMs - 20 }));
  await stub.reportPool(report(card, { atMs: nowMs, liveNodes: 3 }));
  await stub.reportPool(report(card, { atMs: nowMs - 10, liveNodes: 2 }));
  expect(await stub.models()).toMatchObject([{ liveNodes: 3, firstSeenAtMs: nowMs - 20 }]);
});

test("of two files with one name the first keeps it, and the other is asked for by its hash", async () => {
  const stub = status();
  const first = newCard();
  const second = newCard({ name: first.name });
  await stub.reportPool(report(first, { atMs: Date.now() - 10 }));
  await stub.reportPool(report(second));
  const ids = (await stub.models()).map((model) => model.id);
  expect(ids).toEqual([first.name, `${first.name}@${second.fileSha256.slice(0, 12)}`]);
});

test("a name of the catalogue means the catalogue's file, whoever came first", async () => {
  const stub = status();
  const known = catalogue[0];
  if (known === undefined) throw new Error("the catalogue is empty");
  const pretender = newCard({ name: known.name });
  await stub.reportPool(report(pretender, { atMs: Date.now() - 10 }));
  await stub.reportPool(report({ ...newCard({ name: known.name }), fileSha256: known.fileSha256 }));
  const ids = (await stub.models()).map((model) => model.id);
  expect(ids).toEqual([`${known.name}@${pretender.fileSha256.slice(0, 12)}`, known.name]);
});

test("a pool that has been silent for a minute and a half has nobody", async () => {
  const stub = status();
  const [silent, heard] = [newCard(), newCard()];
  await stub.reportPool(report(silent, { atMs: Date.now() - 90_000 }));
  await stub.reportPool(report(heard, { atMs: Date.now() - 80_000 }));
  expect(await stub.models()).toMatchObject([
    { id: silent.name, liveNodes: 0, slots: 0, freeSlots: 0, waiting: 0 },
    { id: heard.name, liveNodes: 1, slots: 4, freeSlots: 3, waiting: 2 },
  ]);
});

test("a name is free again a week after its last node", async () => {
  const stub = status();
  const weekMs = 7 * 24 * 3_600_000;
  const first = newCard();
  const second = newCard({ name: first.name });
  await stub.reportPool(report(first, { atMs: Date.now() - weekMs - 1_000 }));
  await stub.reportPool(report(second));
  expect(await stub.models()).toMatchObject([{ id: second.name, card: { fileSha256: second.fileSha256 } }]);
});

describe("a model whose pool has shards", () => {
  test("has what all of them have, and the longest context of any", async () => {
    const stub = status();
    const card = newCard();
    await stub.reportPool(report(card, { shard: 0, liveNodes: 2, slots: 8, freeSlots: 1, waiting: 5 }));
    await stub.reportPool(report({ ...card, contextTokens: 9_999 }, { shard: 1, liveNodes: 1, waiting: 0 }));
    const sum = { liveNodes: 3, slots: 12, freeSlots: 4, waiting: 5, card: { ...card, contextTokens: 9_999 } };
    expect(await stub.models()).toMatchObject([sum]);
  });

  test("has no more of a shard that fell silent", async () => {
    const stub = status();
    const card = newCard();
    await stub.reportPool(report(card, { shard: 0 }));
    await stub.reportPool(report({ ...card, contextTokens: 9_999 }, { shard: 1, atMs: Date.now() - 90_000 }));
    expect(await stub.models()).toMatchObject([{ liveNodes: 1, slots: 4, card }]);
  });

  test.each<[guarantee: string, liveNodes: number[], shards: number]>([
    ["has one while they fit", [1_000], 1],
    ["has two from the first node too many", [1_001], 2],
    ["counts the nodes of all", [600, 600], 2],
    ["goes back to one when few are left", [1_001, 0, 200], 1],
    ["stays with two while there are some more", [1_001, 0, 500], 2],
  ])("%s", async (_guarantee, liveNodes, shards) => {
    const stub = status();
    const card = newCard();
    let told = 0;
    for (const [index, nodes] of liveNodes.entries()) {
      // Each line tells of shards 0 and 1 in turn.
      told = (await stub.reportPool(report(card, { shard: index % 2, liveNodes: nodes }))).shards;
    }
    expect(told).toBe(shards);
    expect(await stub.models()).toMatchObject([{ shards }]);
  });

  test("tells every shard what the one with most nodes takes the file for", async () => {
    const stub = status();
    const card = newCard();
    const other = { ...card, kind: "embedding", dimensions: 2 } as const;
    expect((await stub.reportPool(report(other, { shard: 0, liveNodes: 2 }))).card).toEqual(other);
    await stub.reportPool(report(card, { shard: 1, liveNodes: 3 }));
    expect((await stub.reportPool(report(other, { shard: 0, liveNodes: 2 }))).card).toEqual(card);
    expect(await stub.models()).toMatchObject([{ card: { kind: card.kind } }]);
  });
});

test("what was told before there were shards is kept as the first shard's", async () => {
  const stub = status();
  const card = newCard();
  const { shard: _, ...before } = report(card);
  await stub.models();
  const models = await runInDurableObject(stub, async (_status, { storage }) => {
    // The tables as they were, with one report; then the object starts anew.
    storage.sql.exec("DELETE FROM migrations WHERE number = 2; DROP TABLE models; DROP TABLE shard_reports");
    storage.sql.exec(
      `CREATE TABLE pools (file_sha256 TEXT PRIMARY KEY, name TEXT NOT NULL, first_seen_at_ms INTEGER NOT NULL,
       at_ms INTEGER NOT NULL, report TEXT NOT NULL)`,
    );
    const { fileSha256, name } = card;
    storage.sql.exec(
      "INSERT INTO pools VALUES (?, ?, ?, ?, ?)",
      ...[fileSha256, name, 17, before.atMs, JSON.stringify(before)],
    );
    migrate(storage, statusMigrations);
    return _status.models();
  });
  expect(models).toEqual([{ ...before, shards: 1, id: card.name, firstSeenAtMs: 17 }]);
});

test("tasks that nobody else can end are ended in the record, again and again while pools report", async () => {
  const postgres = standInForPostgres();
  const stub = status();
  await stub.reportPool(report(newCard()));
  for (const round of [1, 2]) {
    expect(await runDurableObjectAlarm(stub)).toBe(true);
    expect(postgres.batches).toHaveLength(round);
    expect(postgres.batches.at(-1)).toContain("stream_broken");
  }
});

test("a Postgres that is away when the record is swept is asked again", async () => {
  const postgres = standInForPostgres();
  postgres.isDown = true;
  const stub = status();
  await stub.reportPool(report(newCard()));
  expect(await runDurableObjectAlarm(stub)).toBe(true);
  postgres.isDown = false;
  expect(await runDurableObjectAlarm(stub)).toBe(true);
  expect(postgres.batches).toHaveLength(1);
});

test("a deployment without reports is not swept", async () => {
  const stub = status();
  await stub.reportPool(report(newCard(), { atMs: Date.now() - 120_000 }));
  expect(await runDurableObjectAlarm(stub)).toBe(true);
  expect(await runDurableObjectAlarm(stub)).toBe(false);
});
