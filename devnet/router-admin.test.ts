import { createServer, type IncomingMessage, type Server } from "node:http";
import { afterEach, beforeEach, expect, test } from "vitest";
import { RouterAdmin } from "./router-admin.ts";

/** What the router was asked, and what it will answer next. */
let asked: { method: string | undefined; url: string | undefined; key: string | undefined; body: string }[];
let answer: { status: number; body: string };
let server: Server;
let admin: RouterAdmin;

const bodyOf = async (request: IncomingMessage) => {
  let text = "";
  for await (const chunk of request) text += String(chunk);
  return text;
};

beforeEach(async () => {
  asked = [];
  server = createServer(async (request, response) => {
    const { method, url, headers } = request;
    asked.push({ method, url, key: headers.authorization, body: await bodyOf(request) });
    response.writeHead(answer.status, { "content-type": "application/json" }).end(answer.body);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("the server has no port");
  admin = new RouterAdmin(`http://127.0.0.1:${address.port}`, "admin-key");
});
afterEach(() => {
  server.closeAllConnections();
  return new Promise((resolve) => server.close(resolve));
});

function willAnswer(body: unknown, status = 200): void {
  answer = { status, body: typeof body === "string" ? body : JSON.stringify(body) };
}

const key = { id: "key_one0", account: "acct", name: "a key", key: "sk-acct-secret", object: "key" };

test("a key is drawn by what is ordered, with the admin key", async () => {
  willAnswer(key, 201);
  expect(await admin.create("keys", { name: "a key" })).toEqual({
    id: "key_one0",
    account: "acct",
    name: "a key",
    key: "sk-acct-secret",
  });
  expect(asked).toEqual([{ method: "POST", url: "/v1/admin/keys", key: "Bearer admin-key", body: '{"name":"a key"}' }]);
});

test("an invite comes with its token", async () => {
  willAnswer({ id: "invite_one0", account: "acct", name: "", token: "inv-acct-secret" });
  expect((await admin.create("invites", { max_nodes: 2 })).token).toBe("inv-acct-secret");
  expect(asked[0]).toMatchObject({ url: "/v1/admin/invites", body: '{"max_nodes":2}' });
});

test("a list is the rows of its data, asked for without a body", async () => {
  willAnswer({ object: "list", data: [{ id: "key_one0", created_at: 5, revoked_at: null }] });
  expect(await admin.list("keys")).toEqual([{ id: "key_one0", created_at: 5, revoked_at: null }]);
  expect(asked).toEqual([{ method: "GET", url: "/v1/admin/keys", key: "Bearer admin-key", body: "" }]);
});

test("an id is revoked as it is, never as a path", async () => {
  willAnswer({});
  await admin.revoke("keys", "key_one0");
  await admin.revoke("invites", "../keys/key_one0");
  expect(asked.map(({ method, url }) => `${method} ${url}`)).toEqual([
    "DELETE /v1/admin/keys/key_one0",
    "DELETE /v1/admin/invites/..%2Fkeys%2Fkey_one0",
  ]);
});

test.each<[what: string, status: number, body: unknown, message: string]>([
  ["a refusal is thrown in the router's own words", 401, { error: { message: "Wrong key." } }, "Wrong key."],
  ["a failure without words is thrown by its status", 500, { oops: true }, "The router answered 500."],
  ["an answer that is no JSON is thrown by its status", 502, "<html>", "The router answered 502."],
])("%s", async (_what, status, body, message) => {
  willAnswer(body, status);
  await expect(admin.create("keys", {})).rejects.toThrow(new Error(message));
});

test("an answer that is not what was asked for is not taken", async () => {
  willAnswer({ id: 7 });
  await expect(admin.create("keys", {})).rejects.toThrow("account");
  willAnswer({ data: "none" });
  await expect(admin.list("keys")).rejects.toThrow("data");
});
