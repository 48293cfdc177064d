import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { gunzipSync, gzipSync } from "node:zlib";
import type { RowFile } from "./row-file.ts";

/** Adds the kept rows that a file lacks, so that a run goes on from another machine's and none is lost when it keeps its own. */
export function addKept<Row>(
  file: RowFile<Row>,
  keptPath: string,
  { schema, keyOf }: { schema: { parse(value: unknown): Row }; keyOf: (row: Row) => string },
): void {
  if (!existsSync(keptPath)) return;
  for (const line of gunzipSync(readFileSync(keptPath)).toString().split("\n")) {
    const row = line === "" ? undefined : schema.parse(JSON.parse(line));
    if (row !== undefined && !file.has(keyOf(row))) file.add(row);
  }
}

/** Keeps rows, packed. */
export function keepRows(rows: readonly unknown[], keptPath: string): void {
  writeFileSync(keptPath, gzipSync(rows.map((row) => `${JSON.stringify(row)}\n`).join(""), { level: 9 }));
}
