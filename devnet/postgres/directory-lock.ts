import { readFileSync } from "node:fs";
import { link, mkdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";

const ownerSchema = z.object({ pid: z.int().positive(), startedAt: z.string().nullable() });
type Owner = z.infer<typeof ownerSchema>;

/** The directory belongs to a process that lives. */
export class DirectoryInUse extends Error {
  override name = "DirectoryInUse";
}

/**
 * Takes a directory (made where there is none) for this process and returns what gives it back. The lock is a file in
 * it that names the process; one left by a process that is gone is taken over. Throws {@link DirectoryInUse}.
 */
export async function lockDirectory(directory: string): Promise<() => Promise<void>> {
  await mkdir(directory, { recursive: true });
  const path = join(directory, "lock");
  const mine = JSON.stringify({ pid: process.pid, startedAt: startOf(process.pid) } satisfies Owner);
  // Each turn either takes the lock, or fails, or removes one stale lock; a few processes may start at the same time.
  for (let turn = 0; turn < 10; turn += 1) {
    if (await created(path, mine)) return () => rm(path, { force: true });
    const found = await readIfThere(path);
    if (found === undefined) continue;
    const owner = ownerSchema.parse(JSON.parse(found));
    if (isAlive(owner)) throw inUse(directory, owner);
    // Moved aside before it is judged again: a lock that another process took since then is put back.
    const aside = `${path}.${process.pid}`;
    if (!(await moved(path, aside))) continue;
    const taken = await readFile(aside, "utf8");
    if (taken === found) await rm(aside, { force: true });
    else await rename(aside, path);
  }
  throw new DirectoryInUse(`Several processes are trying to take the data directory ${directory}; start only one.`);
}

function inUse(directory: string, { pid }: Owner): DirectoryInUse {
  return new DirectoryInUse(
    `The data directory ${directory} is in use by process ${pid}; stop that process or choose another directory.`,
  );
}

/** False where the process is gone, or its number was given to another since (which a container does at each start). */
function isAlive({ pid, startedAt }: Owner): boolean {
  try {
    process.kill(pid, 0);
  } catch (error) {
    // EPERM: there is such a process, of another user.
    if (!hasCode(error, "EPERM")) return false;
  }
  const start = startOf(pid);
  return start === null || startedAt === null || start === startedAt;
}

/** Boot id and start time of a process where the system is Linux (proc(5), field 22 of `stat`), else `null`. */
function startOf(pid: number): string | null {
  if (process.platform !== "linux") return null;
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    // The second field is the command in parentheses, which may hold spaces itself.
    const ticks = stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19];
    return `${readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim()} ${ticks}`;
  } catch (error) {
    if (hasCode(error, "ENOENT") || hasCode(error, "ESRCH") || hasCode(error, "EACCES")) return null;
    throw error;
  }
}

/** Makes the file with its whole text at once, so that nobody finds it half written; false where there is one. */
async function created(path: string, text: string): Promise<boolean> {
  const whole = `${path}.${process.pid}.${crypto.randomUUID()}`;
  await writeFile(whole, text);
  try {
    await link(whole, path);
    return true;
  } catch (error) {
    if (hasCode(error, "EEXIST")) return false;
    throw error;
  } finally {
    await rm(whole, { force: true });
  }
}

async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    if (hasCode(error, "ENOENT")) return undefined;
    throw error;
  }
}

async function moved(from: string, to: string): Promise<boolean> {
  try {
    await rename(from, to);
    return true;
  } catch (error) {
    if (hasCode(error, "ENOENT")) return false;
    throw error;
  }
}

function hasCode(error: unknown, code: string): boolean {
  return error instanceof Error && "code" in error && error.code === code;
}
