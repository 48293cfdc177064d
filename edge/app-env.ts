import type { Env } from "./env.ts";

/** What Hono's context carries here. */
export interface AppEnv {
  Bindings: Env;
  Variables: { requestId: string };
}
