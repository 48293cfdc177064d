import { type ChildProcess, spawn } from "node:child_process";
import { createWriteStream } from "node:fs";
import { createInterface } from "node:readline";

/** How long a service that was told to stop may take before it is killed. */
const stopMs = 8_000;

export interface ServiceOptions {
  name: string;
  /** Arguments of the project's own Node: a script and its flags. */
  command: readonly string[];
  env?: Readonly<Record<string, string>>;
  logPath: string;
  /** Called when it ends without having been told to. */
  onEnded: (how: string) => void;
}

/**
 * One process of the devnet, in a process group of its own so that a terminal's Ctrl-C reaches the devnet alone, which
 * then stops its services in order. Its standard input is a pipe from here: should the devnet die, it closes, and the
 * service ends itself.
 */
export class Service {
  readonly name: string;
  readonly #child: ChildProcess;
  readonly #ended: Promise<void>;
  #isStopping = false;

  constructor({ name, command, env, logPath, onEnded }: ServiceOptions) {
    this.name = name;
    const log = createWriteStream(logPath, { flags: "a" });
    this.#child = spawn(process.execPath, ["--disable-warning=ExperimentalWarning", ...command], {
      stdio: ["pipe", "pipe", "pipe"],
      env: { ...process.env, ...env },
      detached: true,
    });
    this.#child.stdout?.pipe(log);
    this.#child.stderr?.pipe(log);
    this.#ended = new Promise((resolve) => {
      this.#child.once("exit", (code, signal) => {
        resolve();
        if (!this.#isStopping) onEnded(signal ?? `exit code ${code}`);
      });
      this.#child.once("error", () => resolve());
    });
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  /** Calls `onLine` for each line of the service's standard output. */
  onLine(onLine: (line: string) => void): void {
    if (this.#child.stdout !== null) createInterface({ input: this.#child.stdout }).on("line", onLine);
  }

  /** Ends it: politely, then for good. Resolves when the process is gone. */
  async stop(signal: NodeJS.Signals = "SIGTERM"): Promise<void> {
    this.#isStopping = true;
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    this.#child.kill(signal);
    const timer = setTimeout(() => this.#child.kill("SIGKILL"), stopMs);
    await this.#ended;
    clearTimeout(timer);
  }
}
