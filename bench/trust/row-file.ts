import { appendFileSync, existsSync, mkdirSync, readFileSync } from "node:fs";
import { dirname } from "node:path";
import type { z } from "zod";

/**
 * Rows of JSON in a file, one a line, each with a key of its own: what is there is not made again. A last line that a
 * crash cut off is passed over and stays without its end of line; all others must fit the schema.
 */
export class RowFile<Row> {
  readonly #path: string;
  readonly #keyOf: (row: Row) => string;
  readonly #rows = new Map<string, Row>();

  constructor(path: string, { schema, keyOf }: { schema: z.ZodType<Row>; keyOf: (row: Row) => string }) {
    this.#path = path;
    this.#keyOf = keyOf;
    mkdirSync(dirname(path), { recursive: true });
    const text = existsSync(path) ? readFileSync(path, "utf8") : "";
    const lines = text.split("\n");
    const cutOff = lines.pop() ?? "";
    for (const line of lines) {
      const value: unknown = jsonOf(line);
      // What followed a cut-off line is whole again from the next line on.
      if (value !== undefined) this.#note(schema.parse(value));
    }
    if (cutOff !== "") appendFileSync(path, "\n");
  }

  get rows(): readonly Row[] {
    return [...this.#rows.values()];
  }

  get(key: string): Row | undefined {
    return this.#rows.get(key);
  }

  has(key: string): boolean {
    return this.#rows.has(key);
  }

  add(row: Row): void {
    this.#note(row);
    appendFileSync(this.#path, `${JSON.stringify(row)}\n`);
  }

  #note(row: Row): void {
    this.#rows.set(this.#keyOf(row), row);
  }
}

function jsonOf(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
}
