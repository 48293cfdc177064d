import type { Env as RouterEnv } from "../../edge/env.ts";

declare global {
  namespace Cloudflare {
    /** What `env` of `cloudflare:test` holds: the bindings of the router under test. */
    interface Env extends RouterEnv {}
  }
}
