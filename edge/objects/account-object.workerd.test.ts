import { runInDurableObject } from "cloudflare:test";
import { expect, test } from "vitest";
import { hashSecret } from "../../core/access/secret.ts";
import { type AccountId, inviteIdSchema, keyIdSchema, newAccountId, newTaskId, nodeIdSchema } from "../../core/ids.ts";
import { newCard, accountStub as stubOf } from "../../test/workerd/deployment.ts";
import { standInForPostgres } from "../../test/workerd/fake-postgres.ts";

const postgres = standInForPostgres();

const nodeId = (number: number) => nodeIdSchema.parse(`node_${String(number).padStart(4, "0")}`);

/** Every table of an account's object. */
function tablesOf(accountId: AccountId): Promise<unknown[]> {
  return runInDurableObject(stubOf(accountId), (_account, state) =>
    state.storage.sql.exec("SELECT name FROM sqlite_master WHERE name NOT LIKE '\\_cf%' ESCAPE '\\'").toArray(),
  );
}

async function invited(fields: { maxNodes?: number; expiresAtMs?: number | null } = {}) {
  const accountId = newAccountId();
  const stub = stubOf(accountId);
  const { maxNodes = 1, expiresAtMs = null } = fields;
  const { id, secret } = await stub.createInvite({ accountId, name: "tests", maxNodes, expiresAtMs });
  const secretSha256 = await hashSecret(secret);
  return {
    accountId,
    stub,
    id,
    redeem: (number: number) => stub.redeemInvite({ secretSha256, nodeId: nodeId(number) }),
  };
}

test("a question about an account that is not there leaves no trace", async () => {
  const accountId = newAccountId();
  const stub = stubOf(accountId);
  const secretSha256 = "a".repeat(64);
  expect(await stub.checkKey(secretSha256)).toEqual({ kind: "unknown" });
  expect(await stub.redeemInvite({ secretSha256, nodeId: nodeId(1) })).toEqual({ kind: "refused", why: "unknown" });
  expect(await stub.revokeKey(keyIdSchema.parse(`key_${accountId}_1234`))).toBe(false);
  expect(await stub.revokeInvite(inviteIdSchema.parse(`invite_${accountId}_1234`))).toBe(false);
  await stub.recordTask({
    kind: "task",
    taskId: newTaskId(),
    accountId,
    keyId: keyIdSchema.parse(`key_${accountId}_1234`),
    modelName: newCard().name,
    modelSha256: newCard().fileSha256,
    task: "chat",
    state: "failed",
    finishReason: null,
    errorCode: "no_live_node",
    promptTokens: 0,
    completionTokens: 0,
    createdAtMs: 0,
    endedAtMs: 0,
    attempts: [],
  });
  expect(await tablesOf(accountId)).toEqual([]);
  // The control: an account that is there has tables.
  await stub.createKey({ accountId, name: "tests" });
  expect(await tablesOf(accountId)).not.toEqual([]);
});

test("a key is valid, until it is revoked", async () => {
  const accountId = newAccountId();
  const stub = stubOf(accountId);
  const { id, secret } = await stub.createKey({ accountId, name: "tests" });
  const secretSha256 = await hashSecret(secret);
  expect(await stub.checkKey(secretSha256)).toEqual({ kind: "valid", keyId: id });
  expect(await stub.revokeKey(id)).toBe(true);
  expect(await stub.checkKey(secretSha256)).toEqual({ kind: "revoked" });
  expect(await stub.revokeKey(id)).toBe(true);
});

test("revoking one key leaves the others", async () => {
  const accountId = newAccountId();
  const stub = stubOf(accountId);
  const one = await stub.createKey({ accountId, name: "one" });
  const two = await stub.createKey({ accountId, name: "two" });
  await stub.revokeKey(one.id);
  expect(await stub.checkKey(await hashSecret(two.secret))).toEqual({ kind: "valid", keyId: two.id });
});

test("a key of one account is unknown to another", async () => {
  const [one, other] = [newAccountId(), newAccountId()];
  const { secret } = await stubOf(one).createKey({ accountId: one, name: "tests" });
  await stubOf(other).createKey({ accountId: other, name: "tests" });
  expect(await stubOf(other).checkKey(await hashSecret(secret))).toEqual({ kind: "unknown" });
});

test("a revocation keeps its first time", async () => {
  const accountId = newAccountId();
  const stub = stubOf(accountId);
  const { id } = await stub.createKey({ accountId, name: "tests" });
  const revokedAt = () =>
    runInDurableObject(stub, (_account, state) =>
      state.storage.sql.exec<{ revoked_at_ms: number | null }>("SELECT revoked_at_ms FROM keys").one(),
    );
  await stub.revokeKey(id);
  const first = await revokedAt();
  expect(first.revoked_at_ms).toEqual(expect.any(Number));
  await stub.revokeKey(id);
  expect(await revokedAt()).toEqual(first);
});

test("no secret is stored anywhere, nor sent to the record", async () => {
  const accountId = newAccountId();
  const stub = stubOf(accountId);
  postgres.isDown = true;
  const { secret } = await stub.createKey({ accountId, name: "tests" });
  const invite = await stub.createInvite({ accountId, name: "tests", maxNodes: 1, expiresAtMs: null });
  postgres.isDown = false;
  const rows = await runInDurableObject(stub, (_account, state) =>
    ["account", "keys", "invites", "outbox"].map((table) => state.storage.sql.exec(`SELECT * FROM ${table}`).toArray()),
  );
  const stored = JSON.stringify([rows, postgres.lost, postgres.batches]);
  // The control: what may be stored is there.
  expect(stored).toContain(await hashSecret(secret));
  expect(stored).not.toContain(secret.split("-")[2]);
  expect(stored).not.toContain(invite.secret.split("-")[2]);
});

test("an invite brings in as many nodes as it may, and not one more", async () => {
  const { redeem, accountId } = await invited({ maxNodes: 2 });
  expect(await redeem(1)).toEqual({ kind: "redeemed", accountId });
  expect(await redeem(2)).toEqual({ kind: "redeemed", accountId });
  expect(await redeem(3)).toEqual({ kind: "refused", why: "used_up" });
});

test("a node that asks twice counts once, also when the invite is used up", async () => {
  const { redeem, accountId } = await invited({ maxNodes: 2 });
  for (const number of [1, 1, 1, 2, 1]) expect(await redeem(number)).toEqual({ kind: "redeemed", accountId });
  expect(await redeem(3)).toEqual({ kind: "refused", why: "used_up" });
});

test("nodes that ask at once do not share the last place", async () => {
  const { redeem } = await invited({ maxNodes: 2 });
  const outcomes = await Promise.all([1, 2, 3, 4, 5].map((number) => redeem(number)));
  expect(outcomes.filter((outcome) => outcome.kind === "redeemed")).toHaveLength(2);
});

test("an invite ends at its time", async () => {
  const { redeem } = await invited({ expiresAtMs: Date.now() - 1 });
  expect(await redeem(1)).toEqual({ kind: "refused", why: "expired" });
  const later = await invited({ expiresAtMs: Date.now() + 3_600_000 });
  expect(await later.redeem(1)).toMatchObject({ kind: "redeemed" });
});

test("an invite ends when it is revoked, also for nodes that it brought in", async () => {
  const { redeem, stub, id } = await invited({ maxNodes: 2 });
  await redeem(1);
  expect(await stub.revokeInvite(id)).toBe(true);
  expect(await redeem(1)).toEqual({ kind: "refused", why: "revoked" });
  expect(await redeem(2)).toEqual({ kind: "refused", why: "revoked" });
});

test("an invite is no key and a key is no invite", async () => {
  const accountId = newAccountId();
  const stub = stubOf(accountId);
  const key = await stub.createKey({ accountId, name: "tests" });
  const invite = await stub.createInvite({ accountId, name: "tests", maxNodes: 1, expiresAtMs: null });
  expect(await stub.checkKey(await hashSecret(invite.secret))).toEqual({ kind: "unknown" });
  const secretSha256 = await hashSecret(key.secret);
  expect(await stub.redeemInvite({ secretSha256, nodeId: nodeId(1) })).toEqual({ kind: "refused", why: "unknown" });
});
