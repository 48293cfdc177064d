import { readdirSync, readFileSync } from "node:fs";
import os from "node:os";

/** What a figure depends on besides the code. */
export interface Machine {
  cpu: string;
  cores: number;
  memoryBytes: number;
  node: string;
}

/** The machine that this runs on. */
export function describeMachine(): Machine {
  return {
    cpu: os.cpus()[0]?.model ?? "unknown",
    cores: os.availableParallelism(),
    memoryBytes: os.totalmem(),
    node: process.version,
  };
}

/** CPU time in ticks since the machine, and since this bench with all its processes, began. */
interface Ticks {
  machine: number;
  own: number;
}

/**
 * Watches how much of the machine others use while a bench runs: figures taken beside other work are worth less, and
 * the report says so.
 */
export class ForeignLoad {
  readonly #before = ticksNow();

  /** Cores' worth of CPU time that others have used since this was made, as a share of one core. */
  cores(sinceMs: number): number {
    const now = ticksNow();
    const foreign = now.machine - this.#before.machine - (now.own - this.#before.own);
    return Math.max(0, (foreign * 10) / sinceMs);
  }
}

/** Busy ticks of proc(5)'s stat, and those of this process, its descendants, and children that were waited for. */
function ticksNow(): Ticks {
  const [, user = 0, nice = 0, system = 0, , , interrupt = 0, softInterrupt = 0] = (
    readFileSync("/proc/stat", "utf8").split("\n")[0] ?? ""
  )
    .split(/\s+/)
    .map(Number);
  const processes = readdirSync("/proc").filter((entry) => /^\d+$/.test(entry));
  const read = processes.flatMap((entry) => {
    const fields = statOf(entry);
    if (fields === undefined) return [];
    const [parent, ...counts] = [fields[1], fields[11], fields[12], fields[13], fields[14]].map(Number);
    return [{ pid: Number(entry), parent, ticks: counts.reduce((sum, count) => sum + count, 0) }];
  });
  const own = new Set([process.pid]);
  // Parents mostly have smaller ids, and where they have not, another round finds their children.
  for (let size = 0; size !== own.size; ) {
    size = own.size;
    for (const { pid, parent } of read) if (parent !== undefined && own.has(parent)) own.add(pid);
  }
  return {
    machine: user + nice + system + interrupt + softInterrupt,
    own: read.reduce((sum, { pid, ticks }) => (own.has(pid) ? sum + ticks : sum), 0),
  };
}

/** What follows a process's name in its stat; `undefined` where it has ended meanwhile. */
function statOf(pid: string): string[] | undefined {
  try {
    return readFileSync(`/proc/${pid}/stat`, "utf8").split(") ").at(-1)?.split(" ");
  } catch (error) {
    if (error instanceof Error && "code" in error && (error.code === "ENOENT" || error.code === "ESRCH")) {
      return undefined;
    }
    throw error;
  }
}
