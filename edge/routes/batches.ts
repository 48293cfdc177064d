import type { Context } from "hono";
import { z } from "zod";
import { randomText } from "../../core/ids.ts";
import { Refusal } from "../../core/refusal.ts";
import type { AppEnv } from "../app-env.ts";
import { askAgain } from "../ask-again.ts";
import { authenticate } from "../authenticate.ts";
import type { Batch } from "../batches/batch-body.ts";
import { batchEndpoints } from "../batches/batch-lines.ts";
import type { Env } from "../env.ts";
import { objectStub } from "../object-stub.ts";
import { metadataSchema } from "../openai/chat-request.ts";
import { invalidValue } from "../openai/invalid.ts";
import { parseRequest } from "../openai/parse-request.ts";
import { readJson } from "../read-body.ts";
import { readFile } from "./files.ts";

const windowMs = 24 * 3_600_000;

export const batchRequestSchema = z.object({
  input_file_id: z.string().min(1).max(128),
  endpoint: z.enum(batchEndpoints, { error: `must be one of ${batchEndpoints.join(", ")}` }),
  completion_window: z.literal("24h", { error: "must be 24h" }),
  metadata: metadataSchema,
  output_expires_after: z
    .object({
      anchor: z.literal("created_at", { error: "must be created_at" }),
      seconds: z
        .int("must be a whole number")
        .min(3_600, "must be at least 3600")
        .max(2_592_000, "must be at most 2592000"),
    })
    .nullish(),
});

/** `POST /v1/batches`. */
export async function postBatch(context: Context<AppEnv>): Promise<Response> {
  const principal = await authenticate(context.req.raw, context.env);
  const request = parseRequest(batchRequestSchema, await readJson(context.req.raw));
  const file = await readFile(context.env, principal.accountId, request.input_file_id, "input_file_id");
  if (file.purpose !== "batch") throw invalidValue("input_file_id", "the file's purpose must be batch");
  const id = `batch_${randomText(24)}`;
  const createdAtMs = Date.now();
  const batch: Batch = {
    ...{ id, principal, endpoint: request.endpoint, inputFileId: file.id, metadata: request.metadata ?? null },
    ...{ status: "validating", errors: [], outputFileId: null, errorFileId: null },
    ...{ createdAtMs, expiresAtMs: createdAtMs + windowMs },
    ...(request.output_expires_after == null ? {} : { keptMs: request.output_expires_after.seconds * 1_000 }),
    ...{ inProgressAtMs: null, finalizingAtMs: null, cancellingAtMs: null, endedAtMs: null },
  };
  // First the account's list: a batch that is begun can always be found.
  const entry = { id, createdAtMs, expiresAtMs: null, body: "{}" };
  await askAgain(() => objectStub(context.env.ACCOUNT, principal.accountId).putOnShelf("batch", entry));
  return context.json(await askAgain<object>(() => sessionStub(context.env, id).begin(batch)));
}

export const batchListSchema = z.object({
  limit: z.coerce
    .number()
    .int("must be a whole number")
    .min(1, "must be at least 1")
    .max(100, "must be at most 100")
    .default(20),
  after: z.string().optional(),
});

/** `GET /v1/batches`, newest first. */
export async function getBatches(context: Context<AppEnv>): Promise<Response> {
  const { accountId } = await authenticate(context.req.raw, context.env);
  const { limit, after } = parseRequest(batchListSchema, context.req.query());
  const page = await objectStub(context.env.ACCOUNT, accountId).shelf("batch", { limit, after, order: "desc" });
  const read = await Promise.all(
    page.entries.map(({ id }) => askAgain<object | undefined>(() => sessionStub(context.env, id).read(accountId))),
  );
  const data = z.array(z.looseObject({ id: z.string() })).parse(read.filter((batch) => batch !== undefined));
  return context.json({
    object: "list",
    data,
    first_id: data[0]?.id ?? "",
    last_id: data.at(-1)?.id ?? "",
    has_more: page.hasMore,
  });
}

/** `GET /v1/batches/{id}`. */
export async function getBatch(context: Context<AppEnv>): Promise<Response> {
  const { accountId } = await authenticate(context.req.raw, context.env);
  const id = context.req.param("id") ?? "";
  return context.json(found(id, await known(id, () => sessionStub(context.env, id).read(accountId))));
}

/** `POST /v1/batches/{id}/cancel`. */
export async function cancelBatch(context: Context<AppEnv>): Promise<Response> {
  const { accountId } = await authenticate(context.req.raw, context.env);
  const id = context.req.param("id") ?? "";
  return context.json(found(id, await known(id, () => sessionStub(context.env, id).cancel(accountId))));
}

/** Asks only for ids that may be a batch's: any other would make an object. */
function known(id: string, ask: () => Promise<object | undefined>): Promise<object | undefined> {
  return /^batch_[0-9a-z]{24}$/.test(id) ? askAgain(ask) : Promise.resolve(undefined);
}

function found(id: string, batch: object | undefined): object {
  if (batch !== undefined) return batch;
  throw new Refusal({ code: "batch_not_found", message: `There is no batch ${id.slice(0, 100)} here.` });
}

function sessionStub(env: Env, id: string) {
  return env.SESSION.get(env.SESSION.idFromName(id));
}
