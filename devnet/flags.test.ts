import { resolve } from "node:path";
import { expect, test } from "vitest";
import { catalogue } from "../core/model/catalogue.ts";
import { parseFlags, usage } from "./flags.ts";

const root = resolve(import.meta.dirname, "..");

test("no flag is needed: two nodes with every model of the catalogue, kept beside the code", () => {
  expect(parseFlags([])).toEqual({
    port: 8_787,
    nodes: 2,
    slots: 4,
    context: 4_096,
    model: catalogue.map((model) => model.name),
    state: resolve(root, ".devnet"),
  });
});

test("every flag is taken", () => {
  const flags = ["--port", "0", "--nodes", "3", "--slots=2", "--context", "512", "--state", "somewhere"];
  expect(parseFlags([...flags, "--model", "a", "--model", "./b.gguf"])).toEqual({
    port: 0,
    nodes: 3,
    slots: 2,
    context: 512,
    model: ["a", "./b.gguf"],
    state: resolve("somewhere"),
  });
});

test("help is help, whatever else is asked", () => {
  expect(parseFlags(["--port", "http", "--help"])).toBe("help");
});

test.each<[what: string, argv: string[], sentence: string]>([
  ["a port that is no number", ["--port", "http"], "--port takes a whole number from 0 to 65535."],
  ["a port past the last", ["--port", "65536"], "--port takes a whole number from 0 to 65535."],
  ["an empty port", ["--port="], "--port takes a whole number from 0 to 65535."],
  ["a port of another notation", ["--port", "0x50"], "--port takes a whole number from 0 to 65535."],
  ["a negative port", ["--port=-1"], "--port takes a whole number from 0 to 65535."],
  ["no nodes", ["--nodes", "0"], "--nodes takes a whole number from 1 to 64."],
  ["half a node", ["--nodes", "1.5"], "--nodes takes a whole number from 1 to 64."],
  ["too many nodes", ["--nodes", "65"], "--nodes takes a whole number from 1 to 64."],
  ["no slots", ["--slots", "0"], "--slots takes a whole number from 1 to 256."],
  ["too short a context", ["--context", "63"], "--context takes a whole number from 64 to 10000000."],
  ["a context of no number", ["--context", "long"], "--context takes a whole number from 64 to 10000000."],
  ["an empty model", ["--model", ""], "--model takes a model's name, or the path of a GGUF file."],
  ["an empty state", ["--state", ""], "--state takes a folder."],
  ["an unknown flag", ["--prot", "1"], "Unknown option '--prot'"],
  ["a flag without its value", ["--port"], "Option '--port <value>' argument missing"],
  ["a word too many", ["now"], "Unexpected argument 'now'"],
])("%s is an error that says so in a sentence", (_what, argv, sentence) => {
  const parse = () => parseFlags(argv);
  expect(parse).toThrow(sentence);
  // Not a dump of a schema's issues.
  expect(parse).not.toThrow(/[{[]/);
});

test("the usage tells every flag", () => {
  const flags = parseFlags([]);
  if (flags === "help") throw new Error("help was not asked for");
  for (const flag of Object.keys(flags)) expect(usage).toContain(`--${flag} `);
});
