import { type ChildProcess, spawn } from "node:child_process";
import { createWriteStream, readFileSync } from "node:fs";
import { createInterface } from "node:readline";

/** How long after its end a service's last words may take. */
const lastWordsMs = 500;

export interface ServiceOptions {
  name: string;
  /** Arguments of the project's own Node: a script and its flags. */
  command: readonly string[];
  env?: Readonly<Record<string, string>> | undefined;
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
  readonly logPath: string;
  readonly ended: Promise<void>;
  readonly #child: ChildProcess;
  #isStopping = false;

  constructor({ name, command, env, logPath, onEnded }: ServiceOptions) {
    this.name = name;
    this.logPath = logPath;
    this.#child = spawn(process.execPath, ["--disable-warning=ExperimentalWarning", ...command], {
      stdio: ["pipe", "pipe", "pipe"],
      env: { ...process.env, ...env },
      detached: true,
    });
    const log = createWriteStream(logPath, { flags: "a" });
    for (const output of [this.#child.stdout, this.#child.stderr]) {
      output?.on("data", (bytes) => {
        // What a process that outlived the service still says is nobody's.
        if (!log.writableEnded) log.write(bytes);
      });
    }
    this.ended = new Promise((resolve) => {
      // `close` comes when all that it said is here, and never while a process of its own outlives it and holds the
      // other end; then the exit must do.
      const end = (code: number | null, signal: NodeJS.Signals | null) => {
        if (log.writableEnded) return;
        log.end(() => resolve());
        if (!this.#isStopping) onEnded(signal ?? `exit code ${code}`);
      };
      this.#child.once("close", end);
      this.#child.once("exit", (code, signal) => setTimeout(end, lastWordsMs, code, signal));
    });
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  get hasEnded(): boolean {
    return this.#child.exitCode !== null || this.#child.signalCode !== null;
  }

  /** Calls `onLine` for each line of the service's standard output. */
  onLine(onLine: (line: string) => void): void {
    if (this.#child.stdout !== null) createInterface({ input: this.#child.stdout }).on("line", onLine);
  }

  /** The last line of its log: what it said before it ended. */
  lastWords(): string {
    return readFileSync(this.logPath, "utf8").trimEnd().split("\n").at(-1) ?? "";
  }

  /** Ends it: politely, and for good after `graceMs`. Resolves when the process is gone. */
  async stop({ graceMs }: { graceMs: number }): Promise<void> {
    this.#isStopping = true;
    if (this.hasEnded) return;
    this.#child.kill("SIGTERM");
    const timer = setTimeout(() => this.#child.kill("SIGKILL"), graceMs);
    await this.ended;
    clearTimeout(timer);
  }
}
