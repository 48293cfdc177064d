import { spawn } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { z } from "zod";
import description from "./package.json" with { type: "json" };
import { software } from "./software.ts";

const bin = resolve(import.meta.dirname, "bin/cortensor-node.js");
let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "cli-"));
});
afterAll(() => rmSync(folder, { recursive: true }));

/** Runs the command line as an operator would, with a home and a cache of its own. */
function node(args: readonly string[], env: Record<string, string> = {}): Promise<{ code: number; text: string }> {
  const child = spawn(process.execPath, [bin, ...args], {
    stdio: ["ignore", "pipe", "pipe"],
    env: {
      ...process.env,
      CORTENSOR_HOME: join(folder, "home"),
      CORTENSOR_CACHE: join(folder, "cache"),
      CORTENSOR_TOKEN: "",
      NO_COLOR: "1",
      ...env,
    },
  });
  let text = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (data: Buffer) => (text += data.toString()));
  return new Promise((resolve) => child.once("close", (code) => resolve({ code: code ?? -1, text })));
}

const router = ["--router", "https://router.example"];
test.each<[what: string, args: string[], words: string]>([
  ["an unknown option", ["start", ...router, "--gpus", "2"], "unknown option '--gpus'"],
  ["a start without a router", ["start"], "required option '--router <url>' not specified"],
  ["a router without a scheme", ["start", "--router", "router.example"], "Give it as https://router.example"],
  ["no threads", ["start", ...router, "--threads", "0"], "Use a whole number from 1 to 1024."],
  ["too many slots", ["start", ...router, "--slots", "257"], "Use a whole number from 1 to 256."],
  ["an empty name", ["start", ...router, "--name", " "], "Use 1 to 100 characters."],
  ["a GPU that is no mode", ["start", ...router, "--gpu", "cuda"], "Use auto or off."],
  ["an engine that there is none of", ["start", ...router, "--engine", "tgi"], "Allowed choices are llama, openai."],
  ["an openai engine without a server", ["start", ...router, "--engine", "openai"], "needs --upstream <url>"],
  ["a server for the wrong engine", ["start", ...router, "--upstream", "http://x"], "are for --engine openai"],
  ["a model that is in no catalogue", ["models", "pull", "gpt-9"], "The catalogue has no gpt-9. It has smollm2"],
  ["a file that is not there", ["models", "add", "/nowhere/model.gguf"], "/nowhere/model.gguf"],
])("%s is said in a sentence, with an exit code", async (_what, args, words) => {
  const { code, text } = await node(args);
  expect(text).toContain(words);
  expect(text).not.toMatch(/^\s+at .*:\d+/m);
  expect(code).toBe(1);
});

test("a broken key file is said in a sentence, before any model is loaded", async () => {
  const home = mkdtempSync(join(folder, "broken-"));
  writeFileSync(join(home, "node-key.json"), "{");
  const { code, text } = await node(["start", ...router, "--home", home]);
  expect(text).toBe(
    `${join(home, "node-key.json")} is not a node key. Restore it from a backup, or move it away to draw a new identity.\n`,
  );
  expect(code).toBe(1);
  expect(readdirSync(home)).toEqual(["node-key.json"]);
});

test("an upstream that is not there is said in a sentence", async () => {
  const upstream = ["--engine", "openai", "--upstream", "http://127.0.0.1:1/v1"];
  const { code, text } = await node([
    "start",
    ...router,
    ...upstream,
    "--home",
    mkdtempSync(join(folder, "upstream-")),
  ]);
  expect(text).toMatch(/^http:\/\/127\.0\.0\.1:1 cannot be used: .* Start the server first, or check --upstream\.\n$/);
  expect(code).toBe(1);
});

test("the version is that of the package, and is what a hello tells", async () => {
  const { version } = z.object({ version: z.string() }).parse(description);
  expect(software).toBe(`cortensor-node/${version}`);
  expect(await node(["--version"])).toEqual({ code: 0, text: `${software}\n` });
});

test("the help tells every command and no secret", async () => {
  const secret = "inv-abcd-0123456789abcdefghjkmnpqrstvwxyz";
  const { code, text } = await node(["help", "start"], { CORTENSOR_TOKEN: secret, CORTENSOR_UPSTREAM_KEY: secret });
  expect(code).toBe(0);
  expect(text).toContain("CORTENSOR_TOKEN");
  expect(text).not.toContain(secret);
  const overview = await node(["help"]);
  for (const command of ["doctor", "models", "start", "status"]) expect(overview.text).toContain(`  ${command} `);
});

test("status of a home where no node ran ends with 1 and says how to start one", async () => {
  const { code, text } = await node(["status"]);
  expect(code).toBe(1);
  expect(text).toContain(`No node has run from ${join(folder, "home")} yet.`);
});

test("models of an empty cache are those of the catalogue, none of them held", async () => {
  const { code, text } = await node(["models", "list"]);
  expect(code).toBe(0);
  expect(text).toMatch(/smollm2-135m-instruct +chat/);
  expect(text).toMatch(/all-minilm-l6-v2 +embedding/);
});
