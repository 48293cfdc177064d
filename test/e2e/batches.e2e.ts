import OpenAI, { toFile } from "openai";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { z } from "zod";
import { DevnetProcess, newFolder, tinyChat, tinyEmbedding } from "./devnet-process.ts";
import { VendorSpec } from "./vendor-specs.ts";
import { until } from "./wait.ts";
import { type AnswerSchemas, WatchedFetch } from "./watched-fetch.ts";

const folder = newFolder();
const model = "tiny-chat-1";
const mebibyte = 1024 * 1024;

let devnet: DevnetProcess;
let watched: WatchedFetch;
let client: OpenAI;

const error = "ErrorResponse";
const schemas: readonly (readonly [method: string, path: RegExp, schemas: AnswerSchemas])[] = [
  ["POST", /^\/v1\/files$/, { body: "OpenAIFile", error }],
  ["GET", /^\/v1\/files$/, { body: "ListFilesResponse", error }],
  ["GET", /^\/v1\/files\/[^/]+$/, { body: "OpenAIFile", error }],
  ["DELETE", /^\/v1\/files\/[^/]+$/, { body: "DeleteFileResponse", error }],
  ["GET", /^\/v1\/batches$/, { body: "ListBatchesResponse", error }],
  ["POST", /^\/v1\/batches$/, { body: "Batch", error }],
  ["GET", /^\/v1\/batches\/[^/]+$/, { body: "Batch", error }],
  ["POST", /^\/v1\/batches\/[^/]+\/cancel$/, { body: "Batch", error }],
];

beforeAll(async () => {
  watched = new WatchedFetch(await VendorSpec.load("openai"), (method, path) => {
    const found = schemas.find(([wanted, pattern]) => wanted === method && pattern.test(path))?.[2];
    return found ?? { error };
  });
  devnet = await DevnetProcess.start({ folder, models: [tinyChat(folder), tinyEmbedding(folder)] });
  client = new OpenAI({ baseURL: devnet.baseUrl, apiKey: devnet.apiKey, maxRetries: 0, fetch: watched.fetch });
});
afterAll(() => devnet.remove());

/** A key of another account. */
async function strangersKey(): Promise<string> {
  const response = await fetch(`${devnet.baseUrl}/admin/keys`, {
    method: "POST",
    headers: { authorization: `Bearer ${devnet.adminKey}`, "content-type": "application/json" },
    body: JSON.stringify({ name: "stranger" }),
  });
  return z.object({ key: z.string() }).parse(await response.json()).key;
}

async function refusalOf(action: Promise<unknown>): Promise<unknown> {
  try {
    await action;
    return "taken";
  } catch (problem) {
    return problem instanceof OpenAI.APIError
      ? { status: problem.status, code: problem.code, param: problem.param }
      : problem;
  }
}

const chatLine = (id: string, body: object = {}) => ({
  custom_id: id,
  method: "POST",
  url: "/v1/chat/completions",
  body: { model, max_tokens: 4, messages: [{ role: "user", content: `Say ${id}` }], ...body },
});

async function upload(lines: readonly (object | string)[], name = "in.jsonl") {
  const text = lines.map((line) => (typeof line === "string" ? line : JSON.stringify(line))).join("\n");
  return client.files.create({ purpose: "batch", file: await toFile(Buffer.from(text), name) });
}

async function begin(
  lines: readonly (object | string)[],
  endpoint: "/v1/chat/completions" | "/v1/embeddings" = "/v1/chat/completions",
) {
  const { id } = await upload(lines);
  return client.batches.create({ input_file_id: id, endpoint, completion_window: "24h", metadata: { of: "a test" } });
}

const ended = (id: string) =>
  until(
    `${id} has ended`,
    async () => {
      const batch = await client.batches.retrieve(id);
      return ["completed", "failed", "cancelled", "expired"].includes(batch.status) ? batch : undefined;
    },
    { withinMs: 120_000 },
  );

const lineSchema = z.object({
  custom_id: z.string(),
  response: z.object({ status_code: z.int(), request_id: z.string(), body: z.looseObject({}) }),
  error: z.null(),
});

async function linesOf(fileId: string | undefined) {
  const text = await (await client.files.content(fileId ?? "")).text();
  return text
    .trimEnd()
    .split("\n")
    .map((line) => lineSchema.parse(JSON.parse(line)));
}

describe("files", () => {
  test("a file of 100 MiB is kept as it is, and one byte more is refused", async () => {
    const bytes = Buffer.alloc(100 * mebibyte);
    for (let at = 0; at < bytes.length; at += 4) bytes.writeUInt32LE((at * 2_654_435_761) >>> 0, at);
    const { id, ...file } = await client.files.create({ purpose: "user_data", file: await toFile(bytes, "large.bin") });
    expect(file).toMatchObject({
      bytes: bytes.length,
      filename: "large.bin",
      purpose: "user_data",
      status: "processed",
    });
    const content = Buffer.from(await (await client.files.content(id)).arrayBuffer());
    expect(content.equals(bytes)).toBe(true);
    await client.files.delete(id);
    const more = Buffer.concat([bytes, Buffer.alloc(1)]);
    const large = client.files.create({ purpose: "user_data", file: await toFile(more, "larger.bin") });
    expect(await refusalOf(large)).toEqual({ status: 413, code: "request_too_large", param: "file" });
  }, 120_000);

  test("are listed newest first, page by page, until they are deleted, to their account alone", async () => {
    const ids: string[] = [];
    for (const name of ["a", "b", "c"]) ids.push((await upload([chatLine(name)], name)).id);
    const [a = "", b = "", c = ""] = ids;
    const page = await client.files.list({ limit: 2, purpose: "batch" });
    expect(page.data.map(({ id }) => id)).toEqual([c, b]);
    expect(page.hasNextPage()).toBe(true);
    expect((await page.getNextPage()).data.map(({ id }) => id)).toContain(a);
    await client.files.delete(b);
    const gone = { status: 404, code: "file_not_found", param: null };
    expect(await refusalOf(client.files.retrieve(b))).toEqual(gone);
    expect(await refusalOf(client.files.content(b))).toEqual(gone);
    const stranger = new OpenAI({ baseURL: devnet.baseUrl, apiKey: await strangersKey(), maxRetries: 0 });
    expect(await refusalOf(stranger.files.retrieve(a))).toEqual(gone);
    expect((await stranger.files.list()).data).toEqual([]);
  });

  test("a purpose that is none, and a form without a file, are refused by name", async () => {
    const body = new FormData();
    body.append("purpose", "fun");
    const send = async (form: FormData | string) =>
      (
        await watched.fetch(`${devnet.baseUrl}/files`, {
          method: "POST",
          headers: { authorization: `Bearer ${devnet.apiKey}` },
          body: form,
        })
      ).json();
    expect(await send(body)).toMatchObject({ error: { param: "purpose", code: "invalid_value" } });
    body.set("purpose", "batch");
    expect(await send(body)).toMatchObject({ error: { param: "file", code: "missing_required_parameter" } });
    expect(await send("hello")).toMatchObject({ error: { code: "invalid_request" } });
  });
});

describe("a batch", () => {
  test("answers every line once, in order, and tells failures apart", async () => {
    const lines = Array.from({ length: 12 }, (_, place) => chatLine(`line ${place}`));
    const batch = await begin([...lines, chatLine("bad", { temperature: 9 }), chatLine("stream", { stream: true })]);
    expect(batch).toMatchObject({ status: "validating", endpoint: "/v1/chat/completions", metadata: { of: "a test" } });
    const done = await ended(batch.id);
    expect(done).toMatchObject({ status: "completed", request_counts: { total: 14, completed: 12, failed: 2 } });
    const output = await linesOf(done.output_file_id);
    expect(output.map((line) => line.custom_id)).toEqual(lines.map((line) => line.custom_id));
    for (const { response } of output)
      expect(response).toMatchObject({ status_code: 200, body: { object: "chat.completion" } });
    expect(await linesOf(done.error_file_id)).toMatchObject([
      { custom_id: "bad", response: { status_code: 400, body: { error: { param: "temperature" } } } },
      { custom_id: "stream", response: { status_code: 400, body: { error: { param: "stream" } } } },
    ]);
    expect((await client.batches.list({ limit: 5 })).data.map(({ id }) => id)).toContain(batch.id);
  });

  test("of embeddings", async () => {
    const line = {
      custom_id: "e",
      method: "POST",
      url: "/v1/embeddings",
      body: { model: "tiny-embedding-1", input: "hello" },
    };
    const done = await ended((await begin([line], "/v1/embeddings")).id);
    expect(await linesOf(done.output_file_id)).toMatchObject([
      { custom_id: "e", response: { body: { object: "list" } } },
    ]);
  });

  test.each<[what: string, lines: (object | string)[], code: string, line: number]>([
    ["a line that is no JSON", [chatLine("a"), "{"], "invalid_json_line", 2],
    ["an id that came before", [chatLine("a"), chatLine("a")], "duplicate_custom_id", 2],
    ["another endpoint", [{ ...chatLine("a"), url: "/v1/embeddings" }], "mismatched_endpoint", 1],
    ["no id", [{ ...chatLine("a"), custom_id: undefined }], "invalid_request", 1],
    ["nothing", [], "empty_file", 1],
  ])("with %s fails and says where", async (_what, lines, code, line) => {
    const done = await ended((await begin(lines)).id);
    expect(done).toMatchObject({ status: "failed", errors: { data: [{ code, line }] }, request_counts: { total: 0 } });
  });

  test("that is cancelled keeps what was done", async () => {
    const lines = Array.from({ length: 300 }, (_, place) => chatLine(`line ${place}`, { max_tokens: 40 }));
    const { id } = await begin(lines);
    await until(
      "some lines are done",
      async () => ((await client.batches.retrieve(id)).request_counts?.completed ?? 0) > 5,
    );
    expect((await client.batches.cancel(id)).status).toBe("cancelling");
    const done = await ended(id);
    expect(done.status).toBe("cancelled");
    const completed = done.request_counts?.completed ?? 0;
    expect(completed).toBeLessThan(300);
    expect(await linesOf(done.output_file_id)).toHaveLength(completed);
  });

  test("of a file that is not there, or at another endpoint, is refused by name", async () => {
    const wish = { endpoint: "/v1/chat/completions" as const, completion_window: "24h" as const };
    expect(await refusalOf(client.batches.create({ ...wish, input_file_id: "file-none" }))).toEqual({
      ...{ status: 404, code: "file_not_found", param: "input_file_id" },
    });
    const { id } = await upload([chatLine("a")]);
    expect(await refusalOf(client.batches.create({ ...wish, endpoint: "/v1/moderations", input_file_id: id }))).toEqual(
      {
        ...{ status: 400, code: "invalid_value", param: "endpoint" },
      },
    );
    expect(await refusalOf(client.batches.retrieve("batch_none"))).toMatchObject({
      status: 404,
      code: "batch_not_found",
    });
  });
});

test("every body fitted OpenAI's own description, which refuses what is spoilt", () => {
  expect(watched.problems).toEqual([]);
  const names = schemas.flatMap(([, , { body }]) => body ?? []);
  expect(new Set(watched.fitting.keys())).toEqual(new Set([...names, error]));
  expect(watched.schemasThatTakeAll()).toEqual([]);
});
