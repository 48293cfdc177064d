import { expect, test } from "vitest";
import { explainFileError, type ModelErrorCode } from "./model-error.ts";

test.each<[systemCode: string, code: ModelErrorCode]>([
  ["ENOSPC", "disk_full"],
  ["EDQUOT", "disk_full"],
  ["EACCES", "permission_denied"],
  ["EROFS", "permission_denied"],
  ["ENOENT", "file_missing"],
])("%s is told to the owner as %s, with the path", (systemCode, code) => {
  const cause = Object.assign(new Error("write failed"), { code: systemCode });
  const explained = explainFileError(cause, "/models/a.gguf");
  expect(explained).toMatchObject({ name: "ModelError", code, cause });
  expect(String(explained)).toContain("/models/a.gguf");
});

test("what is not a file's fault passes through unchanged", () => {
  const bug = new TypeError("undefined is not a function");
  expect(explainFileError(bug, "/models/a.gguf")).toBe(bug);
});
