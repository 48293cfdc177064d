import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { keepRows, restoreRows } from "./kept-rows.ts";

const folder = mkdtempSync(join(tmpdir(), "kept-rows-"));
afterAll(() => rmSync(folder, { recursive: true }));

test("kept rows begin a file that is not there, and never replace one that is", () => {
  const [path, kept, elsewhere] = [join(folder, "rows"), join(folder, "kept.gz"), join(folder, "new/rows")];
  restoreRows(elsewhere, kept);
  writeFileSync(path, "one\n");
  keepRows(path, kept);
  restoreRows(elsewhere, kept);
  expect(readFileSync(elsewhere, "utf8")).toBe("one\n");
  writeFileSync(path, "one\ntwo\n");
  restoreRows(path, kept);
  expect(readFileSync(path, "utf8")).toBe("one\ntwo\n");
});
