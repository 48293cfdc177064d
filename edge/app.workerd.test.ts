import { createExecutionContext, env, SELF } from "cloudflare:test";
import { afterEach, beforeAll, beforeEach, expect, test, vi } from "vitest";
import { z } from "zod";
import { newAccountId, randomText } from "../core/ids.ts";
import { limits } from "../core/limits.ts";
import {
  accountStub,
  ask,
  chat,
  contentOf,
  listedCards,
  newKey,
  pooled,
  refusalOf,
} from "../test/workerd/deployment.ts";
import { closeNodes, FakeNode, newIdentity } from "../test/workerd/fake-node.ts";
import { standInForPostgres } from "../test/workerd/fake-postgres.ts";
import { createApp } from "./app.ts";

const admin = env.ADMIN_KEY;
const postgres = standInForPostgres();
let key: string;
beforeAll(async () => {
  key = (await newKey()).key;
});
beforeEach(() => {
  vi.spyOn(console, "error").mockReturnValue(undefined);
});
afterEach(async () => {
  await closeNodes();
  postgres.isDown = false;
  vi.restoreAllMocks();
});

const url = (path: string) => `https://router.test${path}`;

test.each<[method: string, path: string]>([
  ["GET", "/nothing"],
  ["POST", "/v1"],
  ["GET", "/v1/completion"],
  ["GET", "/v1/chat/completions/x"],
  ["GET", `/${"a".repeat(5_000)}`],
])("%s %s is not there", async (method, path) => {
  const response = await ask(path, { key, method });
  expect(response.headers.get("x-request-id")).toMatch(/^req_[0-9a-z]{20}$/);
  const refusal = await refusalOf(response);
  expect(refusal).toMatchObject({ status: 404, code: "not_found", param: null });
  expect(refusal.message.length).toBeLessThan(300);
});

test.each<[method: string, path: string, allow: string]>([
  ["GET", "/v1/chat/completions", "POST"],
  ["PUT", "/v1/embeddings", "POST"],
  ["POST", "/v1/models", "GET"],
  ["DELETE", "/v1/admin/keys", "GET, POST"],
  ["POST", "/v1/admin/suspensions", "GET"],
  ["GET", "/v1/admin/suspensions/node_12345678", "DELETE"],
  ["POST", "/v1/nodes/any/verdicts", "GET"],
  ["GET", "/v1/nodes/any/appeals", "POST"],
  ["PATCH", "/v1/admin/invites", "GET, POST"],
  ["POST", "/healthz", "GET"],
  ["POST", "/", "GET"],
])("%s %s is refused and says what is allowed", async (method, path, allow) => {
  const response = await ask(path, { key, method });
  expect(response.headers.get("allow")).toBe(allow);
  expect(await refusalOf(response)).toMatchObject({ status: 405, code: "method_not_allowed" });
});

test("a browser's page of any origin may ask, with a key, and may read what it needs", async () => {
  const preflight = await SELF.fetch(url("/v1/chat/completions"), {
    method: "OPTIONS",
    headers: {
      origin: "https://page.test",
      "access-control-request-method": "POST",
      "access-control-request-headers": "authorization,content-type",
    },
  });
  expect(preflight.status).toBe(204);
  expect(preflight.headers.get("access-control-allow-origin")).toBe("*");
  expect(preflight.headers.get("access-control-allow-methods")).toContain("POST");
  expect(preflight.headers.get("access-control-allow-headers")?.toLowerCase()).toContain("authorization");
  const refused = await SELF.fetch(url("/v1/models"), { headers: { origin: "https://page.test" } });
  expect(refused.status).toBe(401);
  expect(refused.headers.get("access-control-allow-origin")).toBe("*");
  expect(refused.headers.get("access-control-expose-headers")).toContain("x-request-id");
});

const paths = [
  ["POST", "/v1/chat/completions"],
  ["POST", "/v1/embeddings"],
  ["GET", "/v1/models"],
  ["GET", "/v1/models/any"],
  ["GET", "/v1/nodes/any"],
  ["GET", "/v1/nodes/any/verdicts"],
  ["POST", "/v1/nodes/any/appeals"],
] as const;
const admitsAdmin = new Set<string>(["/v1/nodes/any", "/v1/nodes/any/verdicts", "/v1/nodes/any/appeals"]);
const authorizations: [what: string, authorization: string | undefined, code: string][] = [
  ["without a key", undefined, "missing_api_key"],
  ["with an empty key", " ", "missing_api_key"],
  ["with a key of no known shape", "Bearer what", "invalid_api_key"],
  ["with another scheme", `Basic ${btoa("user:password")}`, "invalid_api_key"],
  ["with a key of an account that is not there", `Bearer sk-nobody-${"a".repeat(32)}`, "invalid_api_key"],
  ["with an invite", `Bearer inv-nobody-${"a".repeat(32)}`, "invalid_api_key"],
];
const withAdmin: (typeof authorizations)[number] = ["with the admin key", `Bearer ${admin}`, "invalid_api_key"];
const unauthorized = paths.flatMap(([method, path]) =>
  [...authorizations, ...(admitsAdmin.has(path) ? [] : [withAdmin])].map((each) => [method, path, ...each] as const),
);
test.each(unauthorized)("%s %s %s is a 401", async (method, path, _what, authorization, code) => {
  const response = await SELF.fetch(url(path), {
    method,
    headers: authorization === undefined ? {} : { authorization },
  });
  expect(await refusalOf(response)).toMatchObject({ status: 401, code });
});

test("a key that is almost right looks like one that never was", async () => {
  const almost = await refusalOf(
    await ask("/v1/models", { key: `${key.slice(0, -1)}${key.endsWith("0") ? "1" : "0"}` }),
  );
  const never = await refusalOf(await ask("/v1/models", { key: `sk-nobody-${"a".repeat(32)}` }));
  expect(almost).toEqual(never);
  // The control: the key itself is right.
  expect((await ask("/v1/models", { key })).status).toBe(200);
});

test("a key that was revoked is told so", async () => {
  const revoked = await newKey();
  await accountStub(revoked.accountId).revokeKey(revoked.id);
  expect(await refusalOf(await ask("/v1/models", { key: revoked.key }))).toMatchObject({
    status: 401,
    code: "revoked_api_key",
  });
});

const adminPaths = [
  ["GET", "/v1/admin/keys"],
  ["POST", "/v1/admin/keys"],
  ["DELETE", "/v1/admin/keys/key_acct_1234"],
  ["GET", "/v1/admin/invites"],
  ["POST", "/v1/admin/invites"],
  ["DELETE", "/v1/admin/invites/invite_acct_1234"],
  ["GET", "/v1/admin/suspensions"],
  ["DELETE", "/v1/admin/suspensions/node_12345678"],
  ["GET", "/v1/admin/trace?object=node&name=node_12345678"],
] as const;

test.each(adminPaths)("%s %s is for the admin alone", async (method, path) => {
  const body = method === "POST" ? {} : undefined;
  expect(await refusalOf(await ask(path, { method, body }))).toMatchObject({ status: 401, code: "missing_api_key" });
  for (const wrong of [key, `${admin}x`, admin.slice(0, -1), admin.toUpperCase()]) {
    const refusal = await refusalOf(await ask(path, { method, key: wrong, body }));
    expect(refusal).toMatchObject({ status: 401, code: "invalid_admin_key" });
  }
  // The control: the admin gets past this door.
  expect((await ask(path, { method, key: admin, body })).status).not.toBe(401);
});

const madeKeySchema = z.strictObject({
  object: z.literal("key"),
  id: z.string().startsWith("key_"),
  account: z.string(),
  name: z.string(),
  key: z.string().startsWith("sk-"),
  created_at: z.int(),
});

test("a key that the admin makes works, and one that the admin revokes does not", async () => {
  const make = async () => {
    const response = await ask("/v1/admin/keys", { key: admin, body: { name: "mine" } });
    expect(response.status).toBe(201);
    return madeKeySchema.parse(await response.json());
  };
  const [kept, revoked] = [await make(), await make()];
  expect(kept.name).toBe("mine");
  expect((await ask(`/v1/admin/keys/${revoked.id}`, { key: admin, method: "DELETE" })).status).toBe(200);
  expect((await ask("/v1/models", { key: kept.key })).status).toBe(200);
  expect(await refusalOf(await ask("/v1/models", { key: revoked.key }))).toMatchObject({ code: "revoked_api_key" });
});

test("a second key of an account belongs to it", async () => {
  const account = newAccountId();
  for (const name of ["one", "two"]) {
    const response = await ask("/v1/admin/keys", { key: admin, body: { account, name } });
    expect(await response.json()).toMatchObject({ account, name });
  }
});

const madeInviteSchema = z.strictObject({
  object: z.literal("invite"),
  id: z.string().startsWith("invite_"),
  account: z.string(),
  name: z.string(),
  token: z.string().startsWith("inv-"),
  max_nodes: z.int(),
  created_at: z.int(),
  expires_at: z.int(),
});

test("an invite that the admin makes brings a node in", async () => {
  const [card] = await listedCards(1);
  if (card === undefined) throw new Error("no model");
  const account = newAccountId();
  const body = { account, name: "box", max_nodes: 3, expires_in_seconds: 60 };
  const response = await ask("/v1/admin/invites", { key: admin, body });
  expect(response.status).toBe(201);
  const made = madeInviteSchema.parse(await response.json());
  expect(made).toMatchObject({ account, name: "box", max_nodes: 3 });
  expect(made.expires_at).toBeGreaterThan(made.created_at);
  const node = await FakeNode.dial(await newIdentity());
  node.send(await node.hello({ models: [card], invite: made.token }));
  expect(await node.next("welcome")).toMatchObject({ operator: account });
});

test.each<[path: string, body: unknown, code: string, param: string | null]>([
  ["/v1/admin/keys", [], "invalid_request", null],
  ["/v1/admin/keys", { name: "" }, "invalid_value", "name"],
  ["/v1/admin/keys", { name: "a".repeat(201) }, "invalid_value", "name"],
  ["/v1/admin/keys", { account: "No Account" }, "invalid_value", "account"],
  ["/v1/admin/invites", { max_nodes: 0 }, "invalid_value", "max_nodes"],
  ["/v1/admin/invites", { max_nodes: limits.nodesPerInvite + 1 }, "invalid_value", "max_nodes"],
  ["/v1/admin/invites", { max_nodes: 1.5 }, "invalid_value", "max_nodes"],
  ["/v1/admin/invites", { expires_in_seconds: 59 }, "invalid_value", "expires_in_seconds"],
])("POST %s with %j is refused by name", async (path, body, code, param) => {
  expect(await refusalOf(await ask(path, { key: admin, body }))).toMatchObject({ status: 400, code, param });
});

test.each(["/v1/admin/keys", "/v1/admin/invites"])("POST %s with a field it does not know is refused", async (path) => {
  expect(await refusalOf(await ask(path, { key: admin, body: { nmae: "typo" } }))).toMatchObject({ status: 400 });
});

test.each([
  ["key", "/v1/admin/keys", "key_acct_1234"],
  ["invite", "/v1/admin/invites", "invite_acct_1234"],
  ["key", "/v1/admin/keys", "what%20is%20this"],
  ["invite", "/v1/admin/invites", "key_acct_1234"],
])("a %s that is not there cannot be revoked: DELETE %s/%s", async (_what, path, id) => {
  const response = await ask(`${path}/${id}`, { key: admin, method: "DELETE" });
  expect(await refusalOf(response)).toMatchObject({ status: 404, code: "not_found", param: "id" });
});

test("revoking a key or an invite twice does no harm", async () => {
  const { id } = await newKey();
  for (let time = 0; time < 2; time += 1) {
    const response = await ask(`/v1/admin/keys/${id}`, { key: admin, method: "DELETE" });
    expect(await response.json()).toEqual({ object: "key", id, revoked: true });
  }
});

test.each(["/v1/admin/keys", "/v1/admin/invites"])(
  "GET %s without Postgres is a 503 that says when to come back",
  async (path) => {
    postgres.isDown = true;
    const response = await ask(path, { key: admin });
    expect(response.headers.get("retry-after")).toBe("5");
    expect(await refusalOf(response)).toMatchObject({ status: 503, code: "record_unavailable" });
  },
);

test("a body over the limit is a 413 and one that is not UTF-8 or not JSON a 400", async () => {
  const post = (body: BodyInit) =>
    SELF.fetch(url("/v1/chat/completions"), { method: "POST", headers: { authorization: `Bearer ${key}` }, body });
  const large = await post("a".repeat(limits.bodyBytes + 1));
  expect(await refusalOf(large)).toMatchObject({ status: 413, code: "request_too_large" });
  expect(await refusalOf(await post(Uint8Array.of(0x22, 0xff, 0x22)))).toMatchObject({
    status: 400,
    code: "invalid_utf8",
  });
  expect(await refusalOf(await post("{"))).toMatchObject({ status: 400, code: "invalid_json" });
});

test("a model that is not there is a 404 that names what is", async () => {
  const body = { model: `none-${randomText(8)}`, messages: [{ role: "user", content: "Hello" }] };
  const [card] = await listedCards(1);
  if (card === undefined) throw new Error("no model");
  const node = await pooled(card, 1);
  expect(await refusalOf(await ask("/v1/chat/completions", { key, body }))).toMatchObject({
    status: 404,
    code: "model_not_found",
    param: "model",
  });
  expect(await refusalOf(await ask(`/v1/models/${body.model}`, { key }))).toMatchObject({
    status: 404,
    code: "model_not_found",
  });
  // The control: the model that is there answers.
  const asked = chat(key, card, "Hello");
  node.answer(await node.next("task"), "Hello");
  expect((await contentOf(await asked)).content).toBe("Hello");
});

test("the page at / is HTML and lists the models", async () => {
  const [card] = await listedCards(1);
  if (card === undefined) throw new Error("no model");
  const response = await SELF.fetch(url("/"));
  expect(response.headers.get("content-type")).toMatch(/^text\/html/);
  const html = await response.text();
  expect(html).toContain(`<code>${card.name}</code>`);
  expect(html).toContain("curl -N https://router.test/v1/chat/completions");
});

test.each<[setting: "ADMIN_KEY" | "DATABASE_URL", value: string]>([
  ["ADMIN_KEY", ""],
  ["ADMIN_KEY", "too short"],
  ["DATABASE_URL", ""],
  ["DATABASE_URL", "mysql://somewhere"],
])("a deployment whose %s is %j is not healthy and serves nothing", async (setting, value) => {
  const app = createApp();
  const broken = { ...env, [setting]: value };
  const health = await app.request(url("/healthz"), {}, broken, createExecutionContext());
  expect(health.status).toBe(503);
  expect(await health.json()).toMatchObject({ status: "misconfigured", problem: expect.stringContaining(setting) });
  const headers = { authorization: `Bearer ${value || admin}` };
  const response = await app.request(url("/v1/admin/keys"), { headers }, broken, createExecutionContext());
  expect(await refusalOf(response)).toMatchObject({ status: 500, code: "internal_error" });
});
