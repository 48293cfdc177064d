import { evictDurableObject, runInDurableObject, SELF } from "cloudflare:test";
import { afterEach, expect, test } from "vitest";
import { z } from "zod";
import { signHello } from "../../core/identity/node-key.ts";
import { limits } from "../../core/limits.ts";
import type { HelloFrame } from "../../core/wire/node-frame.ts";
import {
  accountStub,
  chat,
  contentOf,
  listedCards,
  newCard,
  newInvite,
  newKey,
  nodeStub,
  untilMember,
  untilNoMember,
  untilWaiting,
  welcomed,
} from "./deployment.ts";
import { closeNodes, FakeNode, type NodeIdentity, newIdentity, routerHost } from "./fake-node.ts";
import { standInForPostgres } from "./fake-postgres.ts";

standInForPostgres();
afterEach(closeNodes);

const card = newCard();

/** A hello that would be welcome, on a socket of its own. */
async function ready(identity?: NodeIdentity): Promise<{ node: FakeNode; hello: HelloFrame; accountId: string }> {
  const node = await FakeNode.dial(identity ?? (await newIdentity()));
  const { token, accountId } = await newInvite();
  return { node, hello: await node.hello({ models: [card], invite: token }), accountId };
}

async function expectRejected(node: FakeNode, code: string, closeCode = 4001): Promise<void> {
  expect(await node.next("reject")).toMatchObject({ code });
  expect(await node.closed()).toEqual({ code: closeCode, reason: code });
}

test("a good hello is welcomed into the account of its invite", async () => {
  const { node, hello, accountId } = await ready();
  node.send(hello);
  expect(await node.next("welcome")).toEqual({
    type: "welcome",
    protocol: 4,
    nodeId: node.nodeId,
    epoch: 1,
    operator: accountId,
    heartbeatMs: limits.heartbeatMs,
    busyHeartbeatMs: limits.busyHeartbeatMs,
    resumeToken: expect.stringMatching(/^[\w-]{22}$/),
    leases: [],
  });
});

test("a socket is for nodes only: without an upgrade or an id there is none", async () => {
  const { nodeId } = await newIdentity();
  const plain = await SELF.fetch(`https://${routerHost}/v1/nodes/connect?node=${nodeId}`);
  expect(plain.status).toBe(400);
  const nameless = await SELF.fetch(`https://${routerHost}/v1/nodes/connect`, { headers: { upgrade: "websocket" } });
  expect(nameless.status).toBe(400);
});

test("each socket has a nonce of its own", async () => {
  const identity = await newIdentity();
  const nonces = await Promise.all([1, 2, 3].map(async () => (await FakeNode.dial(identity)).challenge.nonce));
  expect(new Set(nonces).size).toBe(3);
});

type Forge = (ready: { node: FakeNode; hello: HelloFrame }) => HelloFrame | Promise<HelloFrame>;

test.each<[guarantee: string, forge: Forge, code: string]>([
  [
    "a signature by another key is refused",
    async ({ node, hello }) => {
      const { key } = await newIdentity();
      const claim = { nodeId: node.nodeId, nonce: node.challenge.nonce, host: routerHost };
      return { ...hello, signature: await signHello(claim, key.privateKey) };
    },
    "invalid_signature",
  ],
  [
    "a signature that is no signature is refused",
    ({ hello }) => ({ ...hello, signature: "A".repeat(86) }),
    "invalid_signature",
  ],
  [
    "a hello signed for another router is refused, though all else is right",
    async ({ node, hello }) => {
      const claim = { nodeId: node.nodeId, nonce: node.challenge.nonce, host: "other.test" };
      return { ...hello, signature: await signHello(claim, node.identity.key.privateKey) };
    },
    "invalid_signature",
  ],
  [
    "a hello that names another router is refused, also where its signature fits",
    async ({ node, hello }) => {
      const claim = { nodeId: node.nodeId, nonce: node.challenge.nonce, host: "other.test" };
      return { ...hello, host: "other.test", signature: await signHello(claim, node.identity.key.privateKey) };
    },
    "invalid_signature",
  ],
  [
    "a hello for another socket's nonce is refused",
    async ({ node, hello }) => {
      const earlier = await FakeNode.dial(node.identity);
      return { ...hello, signature: (await earlier.hello({ models: [card] })).signature };
    },
    "invalid_signature",
  ],
  [
    "a key cannot take another key's node id",
    async ({ node, hello }) => {
      const { key } = await newIdentity();
      const claim = { nodeId: node.nodeId, nonce: node.challenge.nonce, host: routerHost };
      return { ...hello, publicKey: key.publicKey, signature: await signHello(claim, key.privateKey) };
    },
    "invalid_signature",
  ],
  [
    "a node cannot speak on another node's socket",
    async ({ node, hello }) => {
      const { key, nodeId } = await newIdentity();
      const claim = { nodeId, nonce: node.challenge.nonce, host: routerHost };
      return { ...hello, nodeId, publicKey: key.publicKey, signature: await signHello(claim, key.privateKey) };
    },
    "invalid_signature",
  ],
  [
    "a hello that names another router than it was signed for is refused",
    ({ hello }) => ({ ...hello, host: "other.test" }),
    "invalid_signature",
  ],
  [
    "a hello that names another node is refused, though key and signature are this node's",
    async ({ hello }) => ({ ...hello, nodeId: (await newIdentity()).nodeId }),
    "invalid_signature",
  ],
  ["a protocol of an earlier version is refused", ({ hello }) => ({ ...hello, protocol: 1 }), "unsupported_protocol"],
  ["a protocol that nobody speaks is refused", ({ hello }) => ({ ...hello, protocol: 99 }), "unsupported_protocol"],
  ["a new node without an invite is refused", ({ hello: { invite: _invite, ...hello } }) => hello, "invalid_invite"],
  ["an invite that is no invite is refused", ({ hello }) => ({ ...hello, invite: "please" }), "invalid_invite"],
  [
    "an invite of an account that is not there is refused",
    ({ hello }) => ({ ...hello, invite: `inv-nobody-${"a".repeat(32)}` }),
    "invalid_invite",
  ],
  [
    "an invite that nobody issued is refused",
    ({ hello }) => ({ ...hello, invite: `${hello.invite?.slice(0, -32)}${"a".repeat(32)}` }),
    "invalid_invite",
  ],
  ["an API key is no invite", async ({ hello }) => ({ ...hello, invite: (await newKey()).key }), "invalid_invite"],
  [
    "an expired invite is refused",
    async ({ hello }) => ({ ...hello, invite: (await newInvite({ expiresAtMs: Date.now() - 1 })).token }),
    "invalid_invite",
  ],
  [
    "a revoked invite is refused",
    async ({ hello }) => {
      const { id, accountId, token } = await newInvite();
      expect(await accountStub(accountId).revokeInvite(id)).toBe(true);
      return { ...hello, invite: token };
    },
    "invalid_invite",
  ],
  [
    "an invite that is used up is refused",
    async ({ hello }) => {
      const { token } = await newInvite({ maxNodes: 1 });
      const other = await FakeNode.dial(await newIdentity());
      other.send(await other.hello({ models: [card], invite: token }));
      await other.next("welcome");
      return { ...hello, invite: token };
    },
    "invalid_invite",
  ],
])("%s", async (_guarantee, forge, code) => {
  const identity = await newIdentity();
  const forged = await ready(identity);
  forged.node.send(await forge(forged));
  await expectRejected(forged.node, code);
  const tables = await runInDurableObject(nodeStub(identity), (_node, state) =>
    state.storage.sql.exec("SELECT name FROM sqlite_master WHERE name = 'node'").toArray(),
  );
  expect(tables).toEqual([]);
  // The control: the same node, and its hello as it was before it was forged.
  const unchanged = await ready(identity);
  unchanged.node.send(unchanged.hello);
  expect(await unchanged.node.next("welcome")).toMatchObject({ epoch: 1 });
});

test("a hello that was overheard opens no second socket", async () => {
  const first = await ready();
  first.node.send(first.hello);
  await first.node.next("welcome");
  const second = await FakeNode.dial(first.node.identity);
  second.send(first.hello);
  await expectRejected(second, "invalid_signature");
  expect(first.node.isOpen).toBe(true);
});

test("a node that is registered comes back without an invite, into the same account", async () => {
  const first = await ready();
  first.node.send(first.hello);
  await first.node.next("welcome");
  first.node.close();
  const again = await FakeNode.dial(first.node.identity);
  again.send(await again.hello({ models: [card] }));
  expect(await again.next("welcome")).toMatchObject({ epoch: 2, operator: first.accountId });
});

test("an invite's end ends no node that came in by it", async () => {
  const identity = await newIdentity();
  const { id, accountId, token } = await newInvite();
  const first = await FakeNode.dial(identity);
  first.send(await first.hello({ models: [card], invite: token }));
  await first.next("welcome");
  await accountStub(accountId).revokeInvite(id);
  const again = await FakeNode.dial(identity);
  again.send(await again.hello({ models: [card], invite: token }));
  expect(await again.next("welcome")).toMatchObject({ operator: accountId });
});

test("a second socket of a node takes over from the first", async () => {
  const first = await welcomed([card]);
  const second = await FakeNode.dial(first.identity);
  second.send(await second.hello({ models: [card] }));
  expect(await second.next("welcome")).toMatchObject({ epoch: 2 });
  expect(await first.next("reject")).toMatchObject({ code: "superseded" });
  expect(await first.closed()).toMatchObject({ code: 4002 });
  second.pull(card.fileSha256, 1);
  await untilMember(card, second);
  expect(second.isOpen).toBe(true);
});

test("a node that comes back while its old socket hangs gets its tasks on the new one", async () => {
  const [listed] = await listedCards(1);
  if (listed === undefined) throw new Error("no model");
  const { key } = await newKey();
  const { token } = await newInvite();
  const old = await FakeNode.dial(await newIdentity(), { cutOff: true });
  old.send(await old.hello({ models: [listed], invite: token }));
  await old.next("welcome");
  old.pull(listed.fileSha256, 4);
  await untilMember(listed, old);
  const fresh = await FakeNode.dial(old.identity);
  fresh.send(await fresh.hello({ models: [listed] }));
  await fresh.next("welcome");
  // What the old socket still says counts for nothing: it has no say in the new one's credits.
  old.pull(listed.fileSha256, 4);
  fresh.pull(listed.fileSha256, 1);
  const asked = chat(key, listed, "Hello");
  fresh.answer(await fresh.next("task"), "Hello");
  expect((await contentOf(await asked)).nodes).toEqual([fresh.nodeId]);
  const waiting = chat(key, listed, "Hello");
  await untilWaiting(listed, 1);
  expect(fresh.waiting("task")).toBe(0);
  fresh.pull(listed.fileSha256, 2);
  fresh.answer(await fresh.next("task"), "Hello");
  await contentOf(await waiting);
});

test("a socket that never says hello takes nothing over", async () => {
  const first = await welcomed([card]);
  const second = await FakeNode.dial(first.identity);
  second.sendRaw("{}");
  await expectRejected(second, "invalid_frame", 4003);
  first.pull(card.fileSha256, 1);
  await untilMember(card, first);
  expect(first.isOpen).toBe(true);
});

const pull = (fields: object = {}) =>
  JSON.stringify({ type: "pull", model: card.fileSha256, creditsTotal: 1, ...fields });

test.each<[guarantee: string, message: string | ArrayBuffer]>([
  ["a frame of an unknown type ends the socket", '{"type":"gossip"}'],
  ["a frame with a key too many ends the socket", pull({ extra: 1 })],
  ["a frame with a key too few ends the socket", '{"type":"pull"}'],
  ["a frame with a value out of range ends the socket", pull({ creditsTotal: -1 })],
  ["a frame of another direction ends the socket", '{"type":"drain","reason":"no"}'],
  ["a frame that is no JSON ends the socket", "hello"],
  ["an empty frame ends the socket", ""],
  ["a binary frame ends the socket", Uint8Array.from(new TextEncoder().encode(pull())).buffer],
  ["a frame longer than the limit ends the socket", `${pull().slice(0, -1)}${" ".repeat(limits.frameBytes)}}`],
])("%s", async (_guarantee, message) => {
  const node = await welcomed([card]);
  node.sendRaw(message);
  await expectRejected(node, "invalid_frame", 4003);
});

test("a second hello ends the socket", async () => {
  const { node, hello } = await ready();
  node.send(hello);
  await node.next("welcome");
  node.send(hello);
  await expectRejected(node, "invalid_frame", 4003);
});

test("the same frames, well formed, keep the socket", async () => {
  const node = await welcomed([card]);
  node.sendRaw(pull());
  node.sendRaw(` ${pull()} `);
  await untilMember(card, node);
  expect(node.isOpen).toBe(true);
});

test("a frame before the hello ends the socket", async () => {
  const node = await FakeNode.dial(await newIdentity());
  node.sendRaw(pull());
  await expectRejected(node, "invalid_frame", 4003);
});

test("a heartbeat is answered", async () => {
  const node = await welcomed([card]);
  node.send({ type: "heartbeat" });
  await node.next("heartbeat");
  // Another spelling reaches the object itself, which answers in the same words.
  node.sendRaw('{ "type": "heartbeat" }');
  await node.next("heartbeat");
});

/** Makes a node's object believe that it heard no frame for an hour, and lets it look after its socket. */
async function checkedAfterAnHour(node: FakeNode): Promise<void> {
  // An object that slept knows of its socket what that carries.
  await evictDurableObject(nodeStub(node));
  await runInDurableObject(nodeStub(node), async (object, state) => {
    for (const socket of state.getWebSockets()) {
      const attachment = z.looseObject({ heardAtMs: z.number() }).parse(socket.deserializeAttachment());
      socket.serializeAttachment({ ...attachment, heardAtMs: Date.now() - 3_600_000 });
    }
    await object.alarm();
  });
}

test("a node that has been silent for too long is put out of its pools", async () => {
  const silent = await welcomed([card]);
  silent.pull(card.fileSha256, 1);
  await untilMember(card, silent);
  await checkedAfterAnHour(silent);
  await expectRejected(silent, "idle");
  await untilNoMember(card, silent);
});

test("a node that sends heartbeats alone is not silent", async () => {
  const node = await welcomed([card]);
  node.send({ type: "heartbeat" });
  await node.next("heartbeat");
  await checkedAfterAnHour(node);
  node.pull(card.fileSha256, 1);
  await untilMember(card, node);
  expect(node.isOpen).toBe(true);
});
