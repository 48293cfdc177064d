import { env } from "cloudflare:test";
import { expect, test } from "vitest";
import { keyIdSchema, newAccountId, randomText } from "../core/ids.ts";
import { newCard } from "../test/workerd/deployment.ts";
import { TaskRun } from "./task-run.ts";

/** A task for a model that nobody serves, whose caller has left or not. */
function runFor({ hasLeft }: { hasLeft: boolean }) {
  const card = newCard();
  const accountId = newAccountId();
  const nobody = { liveNodes: 0, slots: 0, freeSlots: 0, waiting: 0, atMs: 0, firstSeenAtMs: 0 };
  return new TaskRun({
    env,
    principal: { accountId, keyId: keyIdSchema.parse(`key_${accountId}_${randomText(12)}`) },
    model: { card, id: card.name, ...nobody },
    input: { kind: "embedding", texts: ["Hello"] },
    signal: hasLeft ? AbortSignal.abort() : new AbortController().signal,
    waitUntil: () => {},
  });
}

test("a caller who left before the task began is not found a node", async () => {
  const run = runFor({ hasLeft: true });
  await expect(run.begin()).resolves.toBeUndefined();
  expect(await Array.fromAsync(run.answer())).toEqual([]);
});

test("a caller who stayed is told that there is none", async () => {
  await expect(runFor({ hasLeft: false }).begin()).rejects.toMatchObject({ code: "no_live_node" });
});
