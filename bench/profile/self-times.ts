import { z } from "zod";

/** A CPU profile as V8 gives it (Chrome DevTools Protocol, Profiler.Profile); times in microseconds. */
export const cpuProfileSchema = z.object({
  nodes: z.array(
    z.object({
      id: z.int(),
      callFrame: z.object({
        functionName: z.string(),
        url: z.string(),
        lineNumber: z.int(),
        columnNumber: z.int(),
      }),
    }),
  ),
  samples: z.array(z.int()),
  timeDeltas: z.array(z.int()),
});
export type CpuProfile = z.infer<typeof cpuProfileSchema>;

/** Where a function stands: line and column from 0, as V8 counts. */
export interface Place {
  url: string;
  line: number;
  column: number;
}

/** One function with the time spent in itself. */
export interface SelfTime {
  name: string;
  file: string;
  selfMs: number;
  /** Of the time in which anything ran at all. */
  share: number;
}

/**
 * Self times of a profile's functions, longest first, and their sums by file. `fileOf` says where the source of a place
 * is. V8's own entries, as `(program)` for native code and `(garbage collector)`, have no file; `(idle)` is left out.
 */
export function selfTimes(
  profile: CpuProfile,
  fileOf: (place: Place) => string,
): { functions: SelfTime[]; files: SelfTime[]; busyMs: number } {
  const byId = new Map(profile.nodes.map((node) => [node.id, node.callFrame]));
  const functions = new Map<string, { name: string; file: string; micros: number }>();
  for (const [index, id] of profile.samples.entries()) {
    const frame = byId.get(id);
    if (frame === undefined || frame.functionName === "(idle)") continue;
    const { functionName, url, lineNumber, columnNumber } = frame;
    const file = url === "" ? "" : fileOf({ url, line: lineNumber, column: columnNumber });
    const key = `${functionName} ${file} ${lineNumber} ${columnNumber}`;
    const entry = functions.get(key) ?? { name: functionName || "(anonymous)", file, micros: 0 };
    entry.micros += Math.max(0, profile.timeDeltas[index] ?? 0);
    functions.set(key, entry);
  }
  const busyMicros = [...functions.values()].reduce((sum, { micros }) => sum + micros, 0);
  const told = (entries: Iterable<{ name: string; file: string; micros: number }>) =>
    [...entries]
      .map(({ name, file, micros }) => ({ name, file, selfMs: micros / 1_000, share: micros / busyMicros }))
      .sort((one, other) => other.selfMs - one.selfMs);
  const files = new Map<string, { name: string; file: string; micros: number }>();
  for (const { name, file, micros } of functions.values()) {
    const title = file === "" ? name : file;
    const entry = files.get(title) ?? { name: title, file, micros: 0 };
    entry.micros += micros;
    files.set(title, entry);
  }
  return { functions: told(functions.values()), files: told(files.values()), busyMs: busyMicros / 1_000 };
}
