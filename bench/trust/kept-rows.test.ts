import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { z } from "zod";
import { addKept, keepRows } from "./kept-rows.ts";
import { RowFile } from "./row-file.ts";

const folder = mkdtempSync(join(tmpdir(), "kept-rows-"));
afterAll(() => rmSync(folder, { recursive: true }));

const how = { schema: z.object({ key: z.string(), from: z.string() }), keyOf: ({ key }: { key: string }) => key };

test("kept rows join those of a file: none is lost, and the file's own stay", () => {
  const kept = join(folder, "kept.gz");
  const file = new RowFile(join(folder, "rows"), how);
  addKept(file, kept, how);
  expect(file.rows).toEqual([]);
  file.add({ key: "both", from: "here" });
  const elsewhere = ["both", "there"].map((key) => ({ key, from: "elsewhere" }));
  keepRows(elsewhere, kept);
  addKept(file, kept, how);
  const all = [
    { key: "both", from: "here" },
    { key: "there", from: "elsewhere" },
  ];
  expect(new RowFile(join(folder, "rows"), how).rows).toEqual(all);
});
