import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { BenchProcess } from "../bench-process.ts";
import { type Ready, readReady } from "../ready-line.ts";

/** The floor (`bench/workerd/echo-worker.ts`) on a workerd of its own, with its nodes in a process of their own. */
export class Echo {
  readonly url: string;
  readonly routerPid: number;
  readonly #processes: readonly BenchProcess[];

  private constructor({ port, pid }: Ready, processes: readonly BenchProcess[]) {
    if (pid === undefined) throw new Error("the echo has not said which process it is");
    this.url = `http://127.0.0.1:${port}/echo`;
    this.routerPid = pid;
    this.#processes = processes;
  }

  /** Starts it and resolves once its nodes are connected; requests go to the first four of them. */
  static async start(folder: string, { sockets = 4 } = {}): Promise<Echo> {
    const state = join(folder, "echo-state");
    mkdirSync(state, { recursive: true });
    const router = new BenchProcess({
      ...{ name: "echo", script: "devnet/router/main.ts", folder },
      flags: [
        ...["--state", state, "--port", "0", "--exit-with-parent"],
        ...["--entry", join(import.meta.dirname, "../workerd/echo-worker.ts")],
      ],
      // Bindings of the product that the floor has no use for.
      env: { ADMIN_KEY: "none", DATABASE_URL: "none", NEON_FETCH_ENDPOINT: "none" },
    });
    const ready = await router.lineWhere(readReady, { withinMs: 30_000 });
    const nodes = new BenchProcess({
      ...{ name: "echo-nodes", script: "bench/router/echo-nodes.ts", folder, flags: [] },
      env: { ROUTER: `http://127.0.0.1:${ready.port}`, SOCKETS: String(sockets) },
    });
    await nodes.lineWhere(readReady, { withinMs: 30_000 });
    return new Echo(ready, [nodes, router]);
  }

  async stop(): Promise<void> {
    for (const process of this.#processes) await process.stop();
  }
}
