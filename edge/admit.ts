import type { ModelKind } from "../core/model/model-card.ts";
import { Refusal } from "../core/refusal.ts";
import type { TaskInput } from "../core/wire/task-input.ts";
import type { Principal } from "./authenticate.ts";
import type { Env } from "./env.ts";
import { findModel } from "./model-directory.ts";
import type { ServedModel } from "./objects/status-object.ts";
import { taskObjects } from "./task-objects.ts";
import { TaskRun } from "./task-run.ts";

/** What a request brings besides itself. */
export interface ServeContext {
  env: Env;
  requestId: string;
  /** What every answer carries; given when its `Response` is made, since setting headers afterwards costs more. */
  headers: Readonly<Record<string, string>>;
  waitUntil: (promise: Promise<unknown>) => void;
}

/** Who asks, and until when anybody waits for the answer. */
export interface Asked extends ServeContext {
  principal: Principal;
  /** Aborts when the caller is gone. */
  signal: AbortSignal;
}

/** A request's own. */
export function askedBy(request: Request, context: ServeContext, principal: Principal): Asked {
  return { ...context, principal, signal: request.signal };
}

/** A task of this request, not yet begun. */
export function admit(parts: {
  asked: Asked;
  model: ServedModel;
  input: TaskInput;
  affinity: string | null;
  isWhole: boolean;
}): TaskRun {
  const { asked, ...task } = parts;
  const { principal, signal, waitUntil } = asked;
  return new TaskRun({ objects: taskObjects(asked.env, task), ...task, principal, signal, waitUntil });
}

/** The model of this name, refused where it is of another kind. */
export async function findModelOf(kind: ModelKind, id: string, env: Env): Promise<ServedModel> {
  const model = await findModel(env, id);
  if (model.card.kind === kind) return model;
  throw new Refusal({
    code: "invalid_value",
    param: "model",
    message:
      kind === "chat"
        ? `${model.id} makes embeddings and does not chat. Use it with POST /v1/embeddings, or choose a chat model.`
        : `${model.id} chats and makes no embeddings. Use it with POST /v1/chat/completions, or choose an embedding model.`,
  });
}
