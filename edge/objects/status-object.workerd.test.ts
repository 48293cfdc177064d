import { env } from "cloudflare:test";
import { expect, test } from "vitest";
import { randomText } from "../../core/ids.ts";
import { catalogue } from "../../core/model/catalogue.ts";
import type { ModelCard } from "../../core/model/model-card.ts";
import { newCard } from "../../test/workerd/deployment.ts";
import type { PoolReport } from "./status-object.ts";

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
  expect(await stub.models()).toEqual([{ ...told, id: card.name, firstSeenAtMs: told.atMs }]);
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
