import type { ModelKind } from "../core/model/model-card.ts";
import { Refusal } from "../core/refusal.ts";
import type { Principal } from "./authenticate.ts";
import type { Env } from "./env.ts";
import { findModel } from "./model-directory.ts";
import type { ServedModel } from "./objects/status-object.ts";
import { type NetworkWishes, trustHeader } from "./openai/network.ts";
import { taskObjects } from "./task-objects.ts";
import { TaskRun } from "./task-run.ts";
import { auditingOf } from "./trust/auditing.ts";
import { defaultTrust, type TrustPolicy } from "./trust/trust-policy.ts";
import { type AnswerInput, TrustedRun } from "./trust/trusted-run.ts";

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
  /** The trust policy of requests that name none; absent is the deployment's. */
  trust?: TrustPolicy | undefined;
  /** Aborts when the caller is gone. */
  signal: AbortSignal;
}

/** A request's own. */
export function askedBy(request: Request, context: ServeContext, principal: Principal): Asked {
  return { ...context, principal, trust: trustHeader(request.headers), signal: request.signal };
}

/** An answer of this request, not yet begun. */
export function admit(parts: {
  asked: Pick<Asked, "env" | "principal" | "trust" | "signal" | "waitUntil">;
  model: ServedModel;
  input: AnswerInput;
  affinity: string | null;
  isWhole: boolean;
  wishes: Pick<NetworkWishes, "trust" | "wantsEvidence">;
}): TrustedRun {
  const { asked, wishes, ...task } = parts;
  const { env, principal, signal, waitUntil } = asked;
  const { model, input, isWhole } = task;
  return new TrustedRun({
    startRun: (wish) => new TaskRun({ objects: taskObjects(env, task), ...task, wish, principal, signal, waitUntil }),
    wish: { trust: wishes.trust ?? asked.trust ?? defaultTrust, wantsEvidence: wishes.wantsEvidence },
    auditing: auditingOf(env),
    ...{ model, input, isWhole, waitUntil },
  });
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
