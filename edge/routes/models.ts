import type { Context } from "hono";
import { Refusal } from "../../core/refusal.ts";
import type { AppEnv } from "../app-env.ts";
import { authenticate } from "../authenticate.ts";
import { findModel, listModels } from "../model-directory.ts";
import type { ServedModel } from "../objects/status-object.ts";

/** `GET /v1/models`: the models that some live node serves, as OpenAI's `list` of `model` objects. */
export async function getModels(context: Context<AppEnv>): Promise<Response> {
  await authenticate(context.req.raw, context.env);
  const models = await listModels(context.env);
  return context.json({ object: "list", data: models.filter((model) => model.liveNodes > 0).map(modelObject) });
}

/** `GET /v1/models/{id}`: one of them. */
export async function getModel(context: Context<AppEnv>): Promise<Response> {
  await authenticate(context.req.raw, context.env);
  const model = await findModel(context.env, context.req.param("id") ?? "");
  if (model.liveNodes > 0) return context.json(modelObject(model));
  throw new Refusal({
    code: "model_not_found",
    param: "model",
    message: `No node serves ${model.id} right now. Try again when one is back: GET /v1/models lists what there is.`,
  });
}

/** OpenAI's fields, and after them what this network knows besides. */
function modelObject(model: ServedModel): object {
  const { card } = model;
  return {
    id: model.id,
    object: "model",
    created: Math.floor(model.firstSeenAtMs / 1_000),
    owned_by: "cortensor-edge",
    kind: card.kind,
    context_length: card.contextTokens,
    ...(card.dimensions === undefined ? {} : { dimensions: card.dimensions }),
    quantization: card.quantization,
    file_sha256: card.fileSha256,
    live_nodes: model.liveNodes,
    slots: model.slots,
  };
}
