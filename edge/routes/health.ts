import type { Context } from "hono";
import type { AppEnv } from "../app-env.ts";
import { settingsProblem } from "../env.ts";
import { listModels } from "../model-directory.ts";

/** `GET /healthz`: 200 while the router answers and its secrets are set; who serves is told, but nodes are not its health. */
export async function getHealth(context: Context<AppEnv>): Promise<Response> {
  const problem = settingsProblem(context.env);
  if (problem !== undefined) return context.json({ status: "misconfigured", problem }, 503);
  const models = (await listModels(context.env)).filter((model) => model.liveNodes > 0);
  return context.json({
    status: "ok",
    models: models.map((model) => ({ id: model.id, live_nodes: model.liveNodes, slots: model.slots })),
  });
}
