import { z } from "zod";

const readySchema = z.object({ ready: z.literal(true), port: z.int(), pid: z.int().optional() });
export type Ready = z.infer<typeof readySchema>;

/** Where a process listens, from the line by which it says so; `undefined` of any other line. */
export function readReady(line: string): Ready | undefined {
  return line.startsWith('{"ready"') ? readySchema.parse(JSON.parse(line)) : undefined;
}
