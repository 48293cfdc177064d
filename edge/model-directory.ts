import { Refusal } from "../core/refusal.ts";
import { askAgain } from "./ask-again.ts";
import type { Env } from "./env.ts";
import { type ServedModel, statusStub } from "./objects/status-object.ts";

/** How old this isolate's list may be: for a name it has, and before a name it lacks is looked up again. */
const freshMs = { known: 10_000, unknown: 1_000 };

let models: ReadonlyMap<string, ServedModel> = new Map();
let readAtMs = 0;

/** Every model that some node held within a week, oldest first. At most one second old. */
export async function listModels(env: Env): Promise<ServedModel[]> {
  if (Date.now() - readAtMs > freshMs.unknown) await refresh(env);
  return [...models.values()];
}

/** The model of this id, or a refusal `model_not_found` that names some that exist. */
export async function findModel(env: Env, id: string): Promise<ServedModel> {
  const ageMs = Date.now() - readAtMs;
  if (ageMs > (models.has(id) ? freshMs.known : freshMs.unknown)) await refresh(env);
  const model = models.get(id);
  if (model !== undefined) return model;
  const known = [...models.values()].filter((served) => served.liveNodes > 0).map((served) => served.id);
  throw new Refusal({
    code: "model_not_found",
    param: "model",
    message:
      known.length === 0
        ? `No node serves the model '${id.slice(0, 100)}', and none is connected at all. Try again when a node is up: GET /v1/models lists what there is.`
        : `No node serves the model '${id.slice(0, 100)}'. There is ${known.slice(0, 5).join(", ")}: GET /v1/models lists all.`,
  });
}

/** Each request reads for itself: a promise of one request must not be awaited by another on this platform. */
async function refresh(env: Env): Promise<void> {
  const served = await askAgain(() => statusStub(env).models());
  models = new Map(served.map((model) => [model.id, model]));
  readAtMs = Date.now();
}
