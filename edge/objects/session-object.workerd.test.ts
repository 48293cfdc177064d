import { env, runInDurableObject, SELF } from "cloudflare:test";
import { expect, test } from "vitest";
import { z } from "zod";
import { randomText } from "../../core/ids.ts";
import { accountStub, newKey } from "../../test/workerd/deployment.ts";
import { standInForPostgres } from "../../test/workerd/fake-postgres.ts";
import { until } from "../../test/workerd/until.ts";
import { fileKey } from "../routes/files.ts";

standInForPostgres();

const host = "https://router.example";
const nobody = { model: "no-such-model", messages: [{ role: "user", content: "Hello" }] };
const line = (id: string) =>
  JSON.stringify({ custom_id: id, method: "POST", url: "/v1/chat/completions", body: nobody });

async function uploaded(key: string, text: string, fields: Record<string, string> = {}): Promise<string> {
  const form = new FormData();
  for (const [name, value] of Object.entries({ purpose: "batch", ...fields })) form.append(name, value);
  form.append("file", new File([text], "in.jsonl"));
  const headers = { authorization: `Bearer ${key}` };
  const response = await SELF.fetch(`${host}/v1/files`, { method: "POST", headers, body: form });
  return z.object({ id: z.string() }).parse(await response.json()).id;
}

async function get(key: string, path: string): Promise<unknown> {
  const response = await SELF.fetch(`${host}${path}`, { headers: { authorization: `Bearer ${key}` } });
  return path.endsWith("/content") ? response.text() : response.json();
}

test("a batch whose time is over expires: what was not answered is told line by line, and nothing more is asked", async () => {
  const { key, accountId, id: keyId } = await newKey();
  const inputFileId = await uploaded(key, [line("a"), line("b")].join("\n"));
  const id = `batch_${randomText(24)}`;
  const session = env.SESSION.get(env.SESSION.idFromName(id));
  const nowMs = Date.now();
  await session.begin({
    ...{ id, principal: { accountId, keyId }, endpoint: "/v1/chat/completions", inputFileId, metadata: null },
    ...{ status: "validating", errors: [], outputFileId: null, errorFileId: null },
    ...{ createdAtMs: nowMs - 86_400_000, expiresAtMs: nowMs - 1, keptMs: 7_200_000 },
    ...{ inProgressAtMs: null, finalizingAtMs: null, cancellingAtMs: null, endedAtMs: null },
  });
  const statusSchema = z.looseObject({ status: z.string(), error_file_id: z.string().optional() });
  // Its alarms ring by themselves; one more than it needs would be the one that forgets it.
  const batch = await until(async () => {
    const read = statusSchema.parse(await get(key, `/v1/batches/${id}`));
    return read.status === "expired" ? read : undefined;
  }, "the batch's end");
  expect(batch).toMatchObject({
    ...{ status: "expired", request_counts: { total: 2, completed: 0, failed: 0 } },
    expired_at: expect.any(Number),
  });
  expect(batch).not.toHaveProperty("output_file_id");
  const { created_at: created, expires_at: expires } = z
    .object({ created_at: z.int(), expires_at: z.int() })
    .parse(await get(key, `/v1/files/${batch.error_file_id}`));
  // As long as the batch asked for.
  expect(expires - created).toBe(7_200);
  const text = z.string().parse(await get(key, `/v1/files/${batch.error_file_id}/content`));
  const told = text
    .trimEnd()
    .split("\n")
    .map((each): unknown => JSON.parse(each));
  expect(told).toMatchObject(
    ["a", "b"].map((custom) => ({ custom_id: custom, response: null, error: { code: "batch_expired" } })),
  );
});

test("a file that expires is gone with its bytes, and others stay", async () => {
  const { key, accountId } = await newKey();
  const [gone, kept] = [await uploaded(key, "one"), await uploaded(key, "other", { purpose: "user_data" })];
  const has = async (id: string) => (await env.FILES?.head(fileKey(accountId, id))) != null;
  expect([await has(gone), await has(kept)]).toEqual([true, true]);
  const account = accountStub(accountId);
  const entry = await account.fromShelf("file", gone);
  if (entry === undefined) throw new Error("the file is not there");
  await account.putOnShelf("file", { ...entry, expiresAtMs: Date.now() - 10 });
  await runInDurableObject(account, (each) => each.alarm());
  expect([await has(gone), await has(kept)]).toEqual([false, true]);
  expect(await get(key, `/v1/files/${gone}`)).toMatchObject({ error: { code: "file_not_found" } });
  expect(await get(key, "/v1/files")).toMatchObject({ data: [{ id: kept }], has_more: false });
});

test("a page of one purpose is full where there are enough files of it", async () => {
  const { key } = await newKey();
  const first = await uploaded(key, "1");
  for (const text of ["2", "3"]) await uploaded(key, text, { purpose: "user_data" });
  expect(await get(key, "/v1/files?purpose=batch&limit=1")).toMatchObject({ data: [{ id: first }], has_more: false });
});

test("what an upload asks for is kept, and refused by name out of range", async () => {
  const { key } = await newKey();
  const id = await uploaded(key, "1", { "expires_after[anchor]": "created_at", "expires_after[seconds]": "3600" });
  const file = z.object({ created_at: z.int(), expires_at: z.int() }).parse(await get(key, `/v1/files/${id}`));
  expect(file.expires_at - file.created_at).toBe(3_600);
  const form = new FormData();
  form.append("purpose", "batch");
  form.append("expires_after[seconds]", "60");
  form.append("file", new File(["1"], "a"));
  const headers = { authorization: `Bearer ${key}` };
  const response = await SELF.fetch(`${host}/v1/files`, { method: "POST", headers, body: form });
  expect([response.status, await response.json()]).toMatchObject([
    400,
    { error: { param: "expires_after[seconds]", code: "invalid_value" } },
  ]);
});

test.each<[guarantee: string, after: object, param: string]>([
  ["too short a time for results", { anchor: "created_at", seconds: 60 }, "output_expires_after.seconds"],
  ["a time from something else", { anchor: "finished_at", seconds: 3_600 }, "output_expires_after.anchor"],
])("%s is refused by name", async (_guarantee, after, param) => {
  const { key } = await newKey();
  const body = { input_file_id: "file-a", endpoint: "/v1/chat/completions", completion_window: "24h" };
  const response = await SELF.fetch(`${host}/v1/batches`, {
    method: "POST",
    headers: { authorization: `Bearer ${key}` },
    body: JSON.stringify({ ...body, output_expires_after: after }),
  });
  expect([response.status, await response.json()]).toMatchObject([400, { error: { param, code: "invalid_value" } }]);
});
