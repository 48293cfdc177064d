import { copyFileSync, mkdtempSync, readdirSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeEach, expect, test } from "vitest";
import { catalogue } from "../../core/model/catalogue.ts";
import type { GgufValue } from "./gguf-format.ts";
import { writeGguf } from "./gguf-writer.ts";
import { addModel, listModels, pullModel, verifyModels } from "./models-command.ts";
import { resolveModel } from "./store.ts";

let folder: string;
let cacheDir: string;
let lines: string[];
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "store-"));
  cacheDir = join(folder, "cache");
  lines = [];
});

const out = (line: string) => void lines.push(line);
const add = (file: string, name?: string) => addModel({ cacheDir, out, file, name });

/** A chat model of the owner's; `weight` makes the file another one. */
function writeModel(file: string, { title, weight = 1 }: { title?: string; weight?: number } = {}): string {
  const path = join(folder, file);
  const named: [string, GgufValue][] = title === undefined ? [] : [["general.name", { type: "string", value: title }]];
  writeGguf(path, {
    metadata: [
      ["general.architecture", { type: "string", value: "llama" }],
      ...named,
      ["general.file_type", { type: "uint32", value: 0 }],
      ["llama.context_length", { type: "uint32", value: 2048 }],
      ["llama.embedding_length", { type: "uint32", value: 1 }],
      ["tokenizer.chat_template", { type: "string", value: "{{ messages }}" }],
    ],
    tensors: [{ name: "a", shape: [1], type: "F32", data: () => new Uint8Array(Float32Array.of(weight).buffer) }],
  });
  return path;
}

const changeIt = (path: string) => writeModel(path.slice(folder.length + 1), { title: "Mine", weight: 2 });

test("an added file stays where it is and is resolved by its name", async () => {
  const path = writeModel("mine.gguf", { title: "My Model 7B (v2)" });
  const added = await add(path);
  expect(added).toMatchObject({
    name: "my-model-7b-v2",
    path,
    kind: "chat",
    quantization: "F32",
    architecture: "llama",
    trainedContextTokens: 2048,
    chatTemplate: "{{ messages }}",
  });
  expect(await resolveModel("my-model-7b-v2", { cacheDir })).toEqual(added);
  expect(readdirSync(join(cacheDir, "models", "my-model-7b-v2"))).toEqual(["model.json"]);
});

test.each<[guarantee: string, title: string | undefined, name: string | undefined, expected: string]>([
  ["a chosen name wins", "My Model", "chosen", "chosen"],
  ["a file without a title is named after itself", undefined, undefined, "the-file.q4_0"],
  ["a title of signs only is passed over", "***", undefined, "the-file.q4_0"],
])("%s", async (_guarantee, title, name, expected) => {
  const path = writeModel("The File.Q4_0.gguf", title === undefined ? {} : { title });
  expect((await add(path, name)).name).toBe(expected);
});

test("a name that the wire does not allow is refused", async () => {
  await expect(add(writeModel("mine.gguf"), "My Model")).rejects.toMatchObject({ code: "invalid_name" });
});

test("the catalogue's names stand for the catalogue's files", async () => {
  const taken = catalogue[0]?.name;
  const file = writeModel("mine.gguf");
  await expect(add(file, taken)).rejects.toMatchObject({
    code: "name_taken",
    message: expect.stringContaining("--name"),
  });
});

test("two files do not share a name, one file may be added from another place", async () => {
  const first = writeModel("first.gguf", { title: "Mine" });
  await add(first);
  await expect(add(writeModel("second.gguf", { title: "Mine", weight: 2 }))).rejects.toMatchObject({
    code: "name_taken",
  });
  const moved = join(folder, "moved.gguf");
  copyFileSync(first, moved);
  expect((await add(moved)).path).toBe(moved);
});

test("a path is added when it is resolved, and once", async () => {
  const path = writeModel("mine.gguf", { title: "Mine" });
  const resolved = await resolveModel(path, { cacheDir });
  expect(resolved.name).toBe("mine");
  expect(await resolveModel(path, { cacheDir })).toEqual(resolved);
});

test("a file that was touched but not changed is still held", async () => {
  const path = writeModel("mine.gguf", { title: "Mine" });
  const added = await add(path);
  utimesSync(path, new Date(), new Date(1_000_000));
  expect(await resolveModel("mine", { cacheDir })).toEqual(added);
  await listModels({ cacheDir, out });
  expect(lines.at(-1)).toMatch(/^mine .* held$/);
});

test("a file that changed is not served under its old name until it is added again", async () => {
  const path = writeModel("mine.gguf", { title: "Mine" });
  const before = await add(path);
  changeIt(path);
  utimesSync(path, new Date(), new Date(1_000_000));
  await expect(resolveModel("mine", { cacheDir })).rejects.toMatchObject({ code: "changed_on_disk" });
  await listModels({ cacheDir, out });
  expect(lines.at(-1)).toMatch(/^mine .* changed on disk$/);

  const after = await add(path);
  expect(after.name).toBe("mine");
  expect(after.fileSha256).not.toBe(before.fileSha256);
});

test("a file that is gone is said to be gone", async () => {
  const path = writeModel("mine.gguf", { title: "Mine" });
  await add(path);
  rmSync(path);
  await expect(resolveModel("mine", { cacheDir })).rejects.toMatchObject({ code: "file_missing" });
  await listModels({ cacheDir, out });
  expect(lines.at(-1)).toMatch(/^mine .* missing$/);
  expect(await verifyModels({ cacheDir, out })).toBe(false);
});

test("verify finds a change that size and time of change hide", async () => {
  const path = writeModel("mine.gguf", { title: "Mine" });
  const sameTime = new Date(1_000_000);
  utimesSync(path, sameTime, sameTime);
  await add(path);
  expect(await verifyModels({ cacheDir, out })).toBe(true);

  changeIt(path);
  utimesSync(path, sameTime, sameTime);
  expect(await verifyModels({ cacheDir, out })).toBe(false);
  expect(lines.at(-1)).toMatch(/^mine: changed on disk/);
});

test("the list has the whole catalogue before anything is pulled", async () => {
  await listModels({ cacheDir, out });
  expect(lines).toHaveLength(1 + catalogue.length);
  expect(lines[1]).toMatch(/^smollm2-135m-instruct {2}chat {7}98\.4 MB {2}- {13}- {8}not pulled$/);
});

test.each<[guarantee: string, name: string, code: string]>([
  ["a model of the catalogue that is not here says how to pull it", "smollm2-135m-instruct", "not_pulled"],
  ["an unknown name says which are known", "gpt-9", "unknown_model"],
  ["a name that can be none is unknown", "NO SUCH", "unknown_model"],
])("%s", async (_guarantee, name, code) => {
  await expect(resolveModel(name, { cacheDir })).rejects.toMatchObject({ code });
});

test("a damaged record is named, not read around", async () => {
  const path = writeModel("mine.gguf", { title: "Mine" });
  await add(path);
  writeFileSync(join(cacheDir, "models", "mine", "model.json"), "{");
  await expect(resolveModel("mine", { cacheDir })).rejects.toMatchObject({ code: "broken_record" });
});

test("only the catalogue's models can be pulled", async () => {
  await expect(pullModel({ cacheDir, out, name: "mine" })).rejects.toMatchObject({ code: "unknown_model" });
});
