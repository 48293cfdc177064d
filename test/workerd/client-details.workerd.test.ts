import { SELF } from "cloudflare:test";
import { afterEach, beforeAll, expect, test } from "vitest";
import { z } from "zod";
import type { ModelCard } from "../../core/model/model-card.ts";
import { operations } from "../../edge/openapi/operations.ts";
import { ask, dealer, listedCards, newKey, pooled } from "./deployment.ts";
import { closeNodes, routerHost } from "./fake-node.ts";
import { standInForPostgres } from "./fake-postgres.ts";

standInForPostgres();
afterEach(closeNodes);

let nextCard: () => ModelCard;
let key: string;
beforeAll(async () => {
  nextCard = dealer(await listedCards(6));
  key = (await newKey()).key;
});

const messages = [{ role: "user", content: "Hello" }];

test.each<[what: string, path: string, fields: object, opening: RegExp]>([
  ["the role's chunk", "/v1/chat/completions", { messages }, /"delta":\{"role":"assistant"/],
  ["message_start", "/v1/messages", { messages, max_tokens: 9 }, /^event: message_start\n/],
  ["response.created", "/v1/responses", { input: "Hello" }, /^event: response\.created\n/],
])("%s goes out before the first token, also where that is half a character", async (_what, path, fields, opening) => {
  const card = nextCard();
  const node = await pooled(card, 1);
  const asked = ask(path, { key, body: { model: card.name, stream: true, ...fields } });
  const task = await node.next("task");
  node.ack(task);
  const body = (await asked).body;
  if (body === null) throw new Error("the stream has no body");
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let seen = "";
  while (!opening.test(seen)) {
    const { done, value } = await reader.read();
    if (done) throw new Error(`the stream ended: ${seen}`);
    seen += value;
  }
  // A token of which no text can be shown yet, then the rest of its character.
  node.delta(task, 0, { text: "", tokenIds: [1] });
  node.delta(task, 1, { text: "é", tokenIds: [2] });
  node.commit(task, { completionTokens: 2 });
  for (let next = await reader.read(); !next.done; next = await reader.read()) seen += next.value;
  expect(seen.match(/é/g)?.length).toBeGreaterThan(0);
  expect(seen).not.toContain("\ufffd");
  expect(seen.match(new RegExp(opening, "g"))).toHaveLength(1);
});

const openAIError = z.strictObject({
  error: z.strictObject({
    message: z.string().min(1),
    type: z.string(),
    param: z.string().nullable(),
    code: z.string().min(1),
  }),
});
const anthropicError = z.strictObject({
  type: z.literal("error"),
  error: z.strictObject({ type: z.string(), message: z.string().min(1) }),
  request_id: z.string(),
});

test("a method that a path does not take, and a path that is none, err in the words of their API", async () => {
  const wrong = operations.map(({ path, errors }) => ({
    ...{ path: path.replaceAll(/\{\w+\}/g, "x"), method: "PUT", status: 405 },
    schema: errors === "anthropic" ? anthropicError : openAIError,
  }));
  const none = ["/v1/nothing", "/v1/chat", "/v1/responses/a/b", "/v1/files/a/b", "/v1/batches/a/b"].map((path) => ({
    ...{ path, method: "GET", status: 404, schema: openAIError },
  }));
  const anthropicNone = { path: "/v1/messages/nothing", method: "POST", status: 404, schema: anthropicError };
  for (const { path, method, status, schema } of [...wrong, ...none, anthropicNone]) {
    const response = await ask(path, { key, method });
    const body: unknown = await response.json();
    expect([method, path, response.status, schema.safeParse(body).error?.issues]).toEqual([
      ...[method, path, status, undefined],
    ]);
    if (status === 405) expect(response.headers.get("allow")).toMatch(/^(GET|POST|DELETE)(, (GET|POST|DELETE))*$/);
  }
});

test.each<[guarantee: string, headers: Record<string, string>, status: number]>([
  ["two authorization headers are refused", { authorization: "Bearer KEY, Bearer KEY" }, 401],
  ["two different keys are refused", { authorization: "Bearer KEY", "x-api-key": "sk-other" }, 401],
  ["one key in both headers is one key", { authorization: "Bearer KEY", "x-api-key": "KEY" }, 200],
  ["a key as Anthropic's clients send it is taken", { "x-api-key": "KEY" }, 200],
])("%s", async (_guarantee, headers, status) => {
  const sent = Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, value.replaceAll("KEY", key)]));
  expect((await SELF.fetch(`https://${routerHost}/v1/models`, { headers: sent })).status).toBe(status);
});

test("a key is asked for before a body is read, on every path that takes one", async () => {
  for (const { path, errors } of operations.filter(({ method, body }) => method === "post" && body !== undefined)) {
    const response = await SELF.fetch(`https://${routerHost}${path}`, { method: "POST", body: "{ no JSON" });
    const schema = errors === "anthropic" ? anthropicError : openAIError;
    expect([path, response.status, schema.safeParse(await response.json()).success]).toEqual([path, 401, true]);
  }
});
