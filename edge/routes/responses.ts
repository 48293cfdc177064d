import type { Context } from "hono";
import { z } from "zod";
import { Refusal } from "../../core/refusal.ts";
import type { AppEnv } from "../app-env.ts";
import { authenticate } from "../authenticate.ts";
import { parseRequest } from "../openai/parse-request.ts";
import { refuseUnsupported } from "../openai/unsupported.ts";
import { notFound, readResponse, responseStub } from "../responses/serve-responses.ts";

/** `GET /v1/responses/{id}`: a stored response as it is now. */
export async function getResponse(context: Context<AppEnv>): Promise<Response> {
  const principal = await authenticate(context.req.raw, context.env);
  const query = context.req.query();
  refuseUnsupported(query, ["stream", "starting_after"], { stream: (value) => value === "false" });
  const { body } = await readResponse(idOf(context), principal, context.env);
  return context.json(body);
}

/** `DELETE /v1/responses/{id}`. */
export async function deleteResponse(context: Context<AppEnv>): Promise<Response> {
  const { accountId } = await authenticate(context.req.raw, context.env);
  const id = idOf(context);
  if (!(await responseStub(context.env, id).remove(accountId))) throw notFound(id);
  return context.json({ id, object: "response", deleted: true });
}

/** `POST /v1/responses/{id}/cancel`: stops a background response. */
export async function cancelResponse(context: Context<AppEnv>): Promise<Response> {
  const principal = await authenticate(context.req.raw, context.env);
  const id = idOf(context);
  const { body } = await readResponse(id, principal, context.env);
  if (body.background !== true) {
    throw new Refusal({
      code: "invalid_request",
      message: "Only a response that was begun with 'background' can be cancelled.",
    });
  }
  return context.json((await responseStub(context.env, id).cancel(principal.accountId)) ?? body);
}

export const inputItemsListSchema = z.object({
  limit: z.coerce
    .number()
    .int("must be a whole number")
    .min(1, "must be at least 1")
    .max(100, "must be at most 100")
    .default(20),
  order: z.enum(["asc", "desc"]).default("desc"),
  after: z.string().optional(),
});

/** `GET /v1/responses/{id}/input_items`: the items of its own request, newest first unless asked otherwise. */
export async function getInputItems(context: Context<AppEnv>): Promise<Response> {
  const principal = await authenticate(context.req.raw, context.env);
  const { limit, order, after } = parseRequest(inputItemsListSchema, context.req.query());
  const { inputItems } = await readResponse(idOf(context), principal, context.env);
  const items = z.array(z.looseObject({ id: z.string() })).parse(inputItems);
  const ordered = order === "asc" ? items : items.toReversed();
  const from = after === undefined ? 0 : ordered.findIndex((item) => item.id === after) + 1;
  const data = ordered.slice(from, from + limit);
  return context.json({
    object: "list",
    data,
    first_id: data[0]?.id ?? "",
    last_id: data.at(-1)?.id ?? "",
    has_more: from + limit < ordered.length,
  });
}

function idOf(context: Context<AppEnv>): string {
  const id = context.req.param("id") ?? "";
  if (!/^resp_[0-9a-z]{8,64}$/.test(id)) throw notFound(id);
  return id;
}
