import { join } from "node:path";
import { Service } from "../devnet/service.ts";

const root = join(import.meta.dirname, "..");

/**
 * A process of a bench: a script of this project on its own Node, its log in the bench's folder. It ends with the bench,
 * however that ends, since every script here watches its standard input.
 */
export class BenchProcess {
  readonly #service: Service;
  readonly #lines: string[] = [];
  readonly #listeners = new Set<() => void>();
  #hasEnded = false;

  /** `script` is a path from the project's root. */
  constructor(options: {
    name: string;
    script: string;
    flags: readonly string[];
    env?: Readonly<Record<string, string>>;
    folder: string;
    /** Further arguments of Node itself, as `--cpu-prof`. */
    nodeFlags?: readonly string[];
  }) {
    const { name, script, flags, env, folder, nodeFlags = [] } = options;
    this.#service = new Service({
      name,
      command: [...nodeFlags, join(root, script), ...flags],
      env,
      logPath: join(folder, `${name}.log`),
      onEnded: () => {},
    });
    this.#service.onLine((line) => {
      this.#lines.push(line);
      this.#tell();
    });
    // Only then is all that it said here.
    this.#service.ended.then(() => {
      this.#hasEnded = true;
      this.#tell();
    });
  }

  get pid(): number {
    return this.#service.pid;
  }

  /** Lines of its standard output so far. */
  get lines(): readonly string[] {
    return this.#lines;
  }

  /**
   * The first result that `read` makes of a line, of those that it said already or says within `withinMs`. Throws its
   * last words where it ends before, or is silent for too long.
   */
  lineWhere<Result>(
    read: (line: string) => Result | undefined,
    { from = 0, withinMs }: { from?: number; withinMs: number },
  ): Promise<Result> {
    return new Promise((resolve, reject) => {
      let next = from;
      const end = (settle: () => void) => {
        clearTimeout(timer);
        this.#listeners.delete(look);
        settle();
      };
      const look = () => {
        for (; next < this.#lines.length; next += 1) {
          const result = read(this.#lines[next] ?? "");
          if (result !== undefined) return end(() => resolve(result));
        }
        if (this.#hasEnded) end(() => reject(this.#problem("ended")));
      };
      const timer = setTimeout(() => end(() => reject(this.#problem(`said nothing for ${withinMs} ms`))), withinMs);
      this.#listeners.add(look);
      look();
    });
  }

  /** Ends it and resolves when it is gone. */
  async stop(): Promise<void> {
    await this.#service.stop({ graceMs: 5_000 });
  }

  #tell(): void {
    for (const listener of [...this.#listeners]) listener();
  }

  #problem(what: string): Error {
    return new Error(
      `${this.#service.name} ${what}; its log is ${this.#service.logPath}: ${this.#service.lastWords()}`,
    );
  }
}
