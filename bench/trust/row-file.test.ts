import { appendFileSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { z } from "zod";
import { RowFile } from "./row-file.ts";

const folder = mkdtempSync(join(tmpdir(), "cortensor-rows-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const schema = z.strictObject({ key: z.string(), value: z.number() });
const open = (name: string) => new RowFile(join(folder, name), { schema, keyOf: ({ key }) => key });

test("what was added is there again", () => {
  const file = open("deep/er.jsonl");
  file.add({ key: "a", value: 1 });
  file.add({ key: "b", value: 2 });
  expect(open("deep/er.jsonl").rows).toEqual(file.rows);
  expect(open("deep/er.jsonl").has("b")).toBe(true);
});

test("a row that a crash cut off is lost alone", () => {
  open("cut.jsonl").add({ key: "a", value: 1 });
  appendFileSync(join(folder, "cut.jsonl"), '{"key":"b","va');
  open("cut.jsonl").add({ key: "c", value: 3 });
  expect(open("cut.jsonl").rows.map(({ key }) => key)).toEqual(["a", "c"]);
});

test("a row of another shape is no row", () => {
  appendFileSync(join(folder, "other.jsonl"), '{"key":1}\n');
  expect(() => open("other.jsonl")).toThrow();
});
