import { readFileSync } from "node:fs";

/** Linux counts CPU time in ticks of a hundredth of a second (`getconf CLK_TCK`, 100 on every common build). */
const tickMs = 10;

/** CPU time that a process has used since it began, user and system, in milliseconds (proc(5), stat). */
export function cpuMs(pid: number): number {
  // The name in parentheses may hold spaces; what follows it does not.
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ").at(-1)?.split(" ") ?? [];
  const [user, system] = [Number(fields[11]), Number(fields[12])];
  if (Number.isNaN(user) || Number.isNaN(system)) throw new Error(`the system does not count the CPU time of ${pid}`);
  return (user + system) * tickMs;
}

/** Memory that a process holds now, in bytes (VmRSS of proc(5), status). */
export function residentBytes(pid: number): number {
  const kibibytes = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1];
  if (kibibytes === undefined) throw new Error(`the system does not tell the memory of ${pid}`);
  return Number(kibibytes) * 1024;
}
