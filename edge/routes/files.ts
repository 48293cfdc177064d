import type { Context } from "hono";
import { z } from "zod";
import { randomText } from "../../core/ids.ts";
import { Refusal } from "../../core/refusal.ts";
import type { AppEnv } from "../app-env.ts";
import { askAgain } from "../ask-again.ts";
import { authenticate, type Principal } from "../authenticate.ts";
import type { Env } from "../env.ts";
import { type FileBody, fileBody, fileBodySchema, filePurposes } from "../files/file-body.ts";
import { fileStoreOf } from "../files/file-store.ts";
import { type FormPart, formParts, textOf } from "../files/multipart.ts";
import { objectStub } from "../object-stub.ts";
import { invalidValue } from "../openai/invalid.ts";
import { parseRequest } from "../openai/parse-request.ts";

const dayMs = 24 * 3_600_000;

export const fileFieldsSchema = z.object({
  purpose: z.enum(filePurposes),
  "expires_after[anchor]": z.literal("created_at").optional(),
  "expires_after[seconds]": z.coerce
    .number()
    .int("must be a whole number")
    .min(3_600, "must be at least 3600")
    .max(2_592_000, "must be at most 2592000")
    .optional(),
});

/** `POST /v1/files`: the file is written as it comes, and is there once all of it is. */
export async function postFile(context: Context<AppEnv>): Promise<Response> {
  const { accountId } = await authenticate(context.req.raw, context.env);
  const store = fileStoreOf(context.env);
  const id = `file-${randomText(24)}`;
  const key = fileKey(accountId, id);
  const fields: Record<string, string> = {};
  let written: { sizeBytes: number; filename: string } | undefined;
  try {
    for await (const part of formParts(context.req.raw)) {
      if (part.name === "file") {
        if (written !== undefined) throw invalidValue("file", "there is more than one");
        const filename = filenameOf(part);
        written = { sizeBytes: await store.put(key, part.bytes), filename };
      } else fields[part.name] = await textOf(part);
    }
    const wanted = parseRequest(fileFieldsSchema, fields);
    if (written === undefined) throw missing("file", "It is the file itself, as a part of the form with a name.");
    const createdAtMs = Date.now();
    // A batch's input goes with the batch's results, as OpenAI has it.
    const seconds = wanted["expires_after[seconds]"];
    const keptMs = seconds === undefined ? (wanted.purpose === "batch" ? 30 * dayMs : null) : seconds * 1_000;
    const expiresAtMs = keptMs === null ? null : createdAtMs + keptMs;
    const body = fileBody({ id, ...written, createdAtMs, expiresAtMs, purpose: wanted.purpose });
    await putFile(context.env, accountId, body, { createdAtMs, expiresAtMs });
    return context.json(body);
  } catch (error) {
    if (written !== undefined) await store.remove(key);
    throw error;
  }
}

/** Puts a file that is written on its account's shelf. */
export async function putFile(
  env: Env,
  accountId: Principal["accountId"],
  body: FileBody,
  times: { createdAtMs: number; expiresAtMs: number | null },
): Promise<void> {
  const entry = { id: body.id, ...times, body: JSON.stringify(body) };
  await askAgain(() => objectStub(env.ACCOUNT, accountId).putOnShelf("file", entry));
}

export const fileListSchema = z.object({
  limit: z.coerce
    .number()
    .int("must be a whole number")
    .min(1, "must be at least 1")
    .max(10_000, "must be at most 10000")
    .default(1_000),
  order: z.enum(["asc", "desc"]).default("desc"),
  after: z.string().optional(),
  purpose: z.string().optional(),
});

/** `GET /v1/files`. */
export async function getFiles(context: Context<AppEnv>): Promise<Response> {
  const { accountId } = await authenticate(context.req.raw, context.env);
  const { after, ...query } = parseRequest(fileListSchema, context.req.query());
  const { entries, hasMore } = await objectStub(context.env.ACCOUNT, accountId).shelf("file", { ...query, after });
  const data = entries.map((entry) => fileBodySchema.parse(JSON.parse(entry.body)));
  return context.json({
    object: "list",
    data,
    first_id: data[0]?.id ?? "",
    last_id: data.at(-1)?.id ?? "",
    has_more: hasMore,
  });
}

/** `GET /v1/files/{id}`. */
export async function getFile(context: Context<AppEnv>): Promise<Response> {
  const { accountId } = await authenticate(context.req.raw, context.env);
  return context.json(await readFile(context.env, accountId, context.req.param("id") ?? ""));
}

/** `GET /v1/files/{id}/content`: its bytes as they are. */
export async function getFileContent(context: Context<AppEnv>): Promise<Response> {
  const { accountId } = await authenticate(context.req.raw, context.env);
  const { id, bytes } = await readFile(context.env, accountId, context.req.param("id") ?? "");
  const content = await fileStoreOf(context.env).get(fileKey(accountId, id));
  if (content === undefined) throw noFile(id);
  return context.body(content, 200, {
    "content-type": "application/octet-stream",
    "content-length": String(bytes),
    // Whatever it is, a browser is not to take it for a page of this origin.
    "content-disposition": "attachment",
    "x-content-type-options": "nosniff",
  });
}

/** `DELETE /v1/files/{id}`. */
export async function deleteFile(context: Context<AppEnv>): Promise<Response> {
  const { accountId } = await authenticate(context.req.raw, context.env);
  const { id } = await readFile(context.env, accountId, context.req.param("id") ?? "");
  await objectStub(context.env.ACCOUNT, accountId).removeFromShelf(id);
  await fileStoreOf(context.env).remove(fileKey(accountId, id));
  return context.json({ id, object: "file", deleted: true });
}

/** The file of this id, or a refusal `file_not_found`: also where another account has it. */
export async function readFile(
  env: Env,
  accountId: Principal["accountId"],
  id: string,
  param?: string,
): Promise<FileBody> {
  const entry = await askAgain(async () => objectStub(env.ACCOUNT, accountId).fromShelf("file", id));
  if (entry === undefined) throw noFile(id, param);
  return fileBodySchema.parse(JSON.parse(entry.body));
}

/** Where a file's bytes are. */
export function fileKey(accountId: string, fileId: string): string {
  return `${accountId}/${fileId}`;
}

function filenameOf({ filename }: FormPart): string {
  if (filename === undefined || filename === "") throw invalidValue("file", "the part has no filename");
  return filename.slice(0, 512);
}

function noFile(id: string, param?: string): Refusal {
  return new Refusal({ code: "file_not_found", param, message: `There is no file ${id.slice(0, 100)} here.` });
}

function missing(param: string, hint: string): Refusal {
  return new Refusal({
    code: "missing_required_parameter",
    param,
    message: `Missing required parameter: '${param}'. ${hint}`,
  });
}
