import { BenchProcess } from "../bench-process.ts";
import { readReady } from "../ready-line.ts";

/** The direct path: the mock engine behind a plain HTTP server in a process of its own. */
export class Direct {
  readonly origin: string;
  readonly #process: BenchProcess;

  private constructor(origin: string, process: BenchProcess) {
    this.origin = origin;
    this.#process = process;
  }

  static async start(folder: string): Promise<Direct> {
    const server = new BenchProcess({ name: "direct", script: "bench/router/direct-server.ts", flags: [], folder });
    const { port } = await server.lineWhere(readReady, { withinMs: 30_000 });
    return new Direct(`http://127.0.0.1:${port}`, server);
  }

  get pid(): number {
    return this.#process.pid;
  }

  async stop(): Promise<void> {
    await this.#process.stop();
  }
}
