import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { gunzipSync, gzipSync } from "node:zlib";

/** Begins a file of rows with those that were kept, where it is not there: a run goes on from another machine's rows. */
export function restoreRows(path: string, keptPath: string): void {
  if (existsSync(path) || !existsSync(keptPath)) return;
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, gunzipSync(readFileSync(keptPath)));
}

/** Keeps a file of rows, packed. */
export function keepRows(path: string, keptPath: string): void {
  writeFileSync(keptPath, gzipSync(readFileSync(path), { level: 9 }));
}
