import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, openSync, readFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { z } from "zod";

/** A gateway of somebody else in a process of its own. */
export class PeerProcess {
  readonly origin: string;
  readonly #child: ChildProcess;
  readonly #logPath: string;

  private constructor(port: number, child: ChildProcess, logPath: string) {
    this.origin = `http://127.0.0.1:${port}`;
    this.#child = child;
    this.#logPath = logPath;
    // It knows nothing of this bench, and would outlive it.
    process.on("exit", () => child.kill("SIGKILL"));
  }

  /** Starts `command` with the port put in, and resolves once it answers at `probe` at all. */
  static async start(options: {
    name: string;
    command: (port: number) => readonly [program: string, ...parameters: string[]];
    probe: string;
    folder: string;
  }): Promise<PeerProcess> {
    const port = await freePort();
    const [program, ...parameters] = options.command(port);
    const logPath = join(options.folder, `${options.name}.log`);
    const log = openSync(logPath, "a");
    const peer = new PeerProcess(port, spawn(program, parameters, { stdio: ["ignore", log, log] }), logPath);
    closeSync(log);
    const deadlineMs = Date.now() + 60_000;
    while (!(await peer.#answers(options.probe))) {
      if (peer.#child.exitCode !== null || Date.now() > deadlineMs) {
        await peer.stop();
        throw new Error(`${options.name} does not answer:\n${readFileSync(logPath, "utf8").slice(-2_000)}`);
      }
      await setTimeout(200);
    }
    return peer;
  }

  get pid(): number {
    return z.int().parse(this.#child.pid);
  }

  get logPath(): string {
    return this.#logPath;
  }

  /** Ends it at once and resolves when it is gone. */
  async stop(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const ended = new Promise((resolve) => this.#child.once("exit", resolve));
    this.#child.kill("SIGKILL");
    await ended;
  }

  async #answers(path: string): Promise<boolean> {
    try {
      await (await fetch(this.origin + path)).arrayBuffer();
      return true;
    } catch (error) {
      // Nobody listens yet.
      if (error instanceof TypeError) return false;
      throw error;
    }
  }
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = createServer();
    probe.once("error", reject);
    probe.listen(0, "127.0.0.1", () => {
      const { port } = z.object({ port: z.int() }).parse(probe.address());
      probe.close(() => resolve(port));
    });
  });
}
