import { readdirSync, readFileSync, readlinkSync } from "node:fs";

/** A process as the system knows it. */
export interface RunningProcess {
  pid: number;
  command: string;
}

/**
 * Every living process that was started with this text in its environment, whoever its parent is now. Reads /proc
 * (Linux); throws where there is none. A zombie has no environment any more and is not among them.
 */
export function processesMarked(mark: string): RunningProcess[] {
  return readdirSync("/proc")
    .filter((entry) => /^\d+$/.test(entry) && readOfProcess(entry, "environ").split("\0").includes(mark))
    .map((entry) => ({
      pid: Number(entry),
      command: readOfProcess(entry, "cmdline").replaceAll("\0", " ").trim(),
    }));
}

/**
 * Bytes that came to the process on its TCP connections and that it has not read: what a stopped process was sent.
 * From the receive queues in /proc/net/tcp (proc(5)).
 */
export function unreadBytes(pid: number): number {
  const inodes = new Set(
    readdirSync(`/proc/${pid}/fd`).flatMap(
      (descriptor) => /^socket:\[(\d+)\]$/.exec(linkOf(`/proc/${pid}/fd/${descriptor}`))?.[1] ?? [],
    ),
  );
  const connections = readFileSync(`/proc/${pid}/net/tcp`, "utf8").trim().split("\n").slice(1);
  return connections.reduce((sum, line) => {
    // sl local remote state tx:rx timer retransmits uid timeout inode …; state 01 is ESTABLISHED.
    const [, , , state, queues = "", , , , , inode = ""] = line.trim().split(/\s+/);
    return state === "01" && inodes.has(inode) ? sum + Number.parseInt(queues.split(":")[1] ?? "0", 16) : sum;
  }, 0);
}

/** Bytes that the process has written since it began, to files and sockets alike (`wchar` of proc(5)'s io). */
export function writtenBytes(pid: number): number {
  const count = /^wchar: (\d+)$/m.exec(readFileSync(`/proc/${pid}/io`, "utf8"))?.[1];
  if (count === undefined) throw new Error(`The system does not count what process ${pid} writes.`);
  return Number(count);
}

/** A file of /proc, or nothing where the process ended meanwhile or is another user's. */
function readOfProcess(pid: string, file: "environ" | "cmdline"): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, "utf8");
  } catch (error) {
    if (isGone(error)) return "";
    throw error;
  }
}

function linkOf(path: string): string {
  try {
    return readlinkSync(path);
  } catch (error) {
    if (isGone(error)) return "";
    throw error;
  }
}

function isGone(error: unknown): boolean {
  return (
    error instanceof Error && "code" in error && ["ENOENT", "ESRCH", "EACCES", "EPERM"].includes(String(error.code))
  );
}
