import { type ChildProcess, type SpawnOptions, spawn } from "node:child_process";

/** A process of the tests with all it said. */
export class Child {
  readonly process: ChildProcess;
  readonly exited: Promise<{ code: number | null; signal: NodeJS.Signals | null }>;
  stdout = "";
  stderr = "";

  constructor(command: string, args: readonly string[], options: SpawnOptions = {}) {
    this.process = spawn(command, [...args], { stdio: ["ignore", "pipe", "pipe"], ...options });
    this.process.stdout?.setEncoding("utf8").on("data", (text: string) => {
      this.stdout += text;
    });
    this.process.stderr?.setEncoding("utf8").on("data", (text: string) => {
      this.stderr += text;
    });
    this.exited = new Promise((resolve, reject) => {
      this.process.once("error", reject);
      // `close`, not `exit`: only then is everything it said here.
      this.process.once("close", (code, signal) => resolve({ code, signal }));
    });
  }

  get pid(): number {
    if (this.process.pid === undefined) throw new Error("The process did not start.");
    return this.process.pid;
  }

  get hasExited(): boolean {
    return this.process.exitCode !== null || this.process.signalCode !== null;
  }

  /** All it said, for a failure's message. */
  get said(): string {
    return `${this.stdout}${this.stderr}`;
  }
}
