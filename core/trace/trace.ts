import { z } from "zod";
import { type LeaseInput, leaseInputSchema } from "./lease-input.ts";
import { type PoolInput, poolInputSchema } from "./pool-input.ts";

/**
 * One thing that an object was told, and when by its own clock: a line of JSON in an exported trace. `draws` are the
 * random numbers that a pool drew for it, so that it can be told again exactly.
 */
export const traceEntrySchema = z.discriminatedUnion("object", [
  z.strictObject({ atMs: z.number(), object: z.literal("node"), name: z.string(), input: leaseInputSchema }),
  z.strictObject({
    atMs: z.number(),
    object: z.literal("pool"),
    name: z.string(),
    input: poolInputSchema,
    draws: z.array(z.number()),
  }),
]);
export type TraceEntry = z.infer<typeof traceEntrySchema>;

/** Entries that an object keeps: some minutes of a busy node, at most a few MB. */
const mostEntries = 8_192;

/** What one object's core was told of late, oldest first; what is older than {@link mostEntries} is forgotten. */
export class Trace {
  #entries: TraceEntry[] = [];

  noteLease(name: string, input: LeaseInput, atMs: number): void {
    this.#note({ atMs, object: "node", name, input });
  }

  /** Returns a source of random numbers that notes what is drawn from `random` for this input. */
  notePool(name: string, input: PoolInput, atMs: number, random: () => number): () => number {
    const draws: number[] = [];
    this.#note({ atMs, object: "pool", name, input, draws });
    return () => {
      const draw = random();
      draws.push(draw);
      return draw;
    };
  }

  get entries(): readonly TraceEntry[] {
    return this.#entries;
  }

  /** Lines of JSON, as `npm run replay` reads them. */
  toText(): string {
    return this.#entries.map((entry) => `${JSON.stringify(entry)}\n`).join("");
  }

  #note(entry: TraceEntry): void {
    this.#entries.push(entry);
    // By half at a time, so that it costs nothing to speak of for each.
    if (this.#entries.length >= 2 * mostEntries) this.#entries = this.#entries.slice(mostEntries);
  }
}

/** A line that is no entry of a trace; `line` counts from 1. */
export class TraceUnreadable extends Error {
  override readonly name = "TraceUnreadable";

  constructor(line: number, problem: string) {
    super(`Line ${line} is no entry of a trace: ${problem}`);
  }
}

/** The entries of an exported trace, in order. Throws {@link TraceUnreadable} for a line that is none. */
export function parseTrace(text: string): TraceEntry[] {
  return text.split("\n").flatMap((line, index) => {
    if (line.trim() === "") return [];
    const parsed = traceEntrySchema.safeParse(jsonOf(line, index + 1));
    if (parsed.success) return [parsed.data];
    throw new TraceUnreadable(index + 1, z.prettifyError(parsed.error));
  });
}

function jsonOf(line: string, number: number): unknown {
  try {
    return JSON.parse(line);
  } catch (error) {
    throw new TraceUnreadable(number, String(error));
  }
}
