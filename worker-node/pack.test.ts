import { execFile } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { z } from "zod";
import description from "./package.json" with { type: "json" };

const run = promisify(execFile);
const clone = resolve(import.meta.dirname, "..");
/** Where the package lies as an installation would have it: beside the packages that it depends on. */
let installed: string;
let files: string[];
let folder: string;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "pack-"));
  const { stdout } = await run("npm", ["pack", "--json", "--pack-destination", folder], { cwd: import.meta.dirname });
  // The lifecycle script writes to standard output too; npm's own word is the JSON at the end.
  const [packed] = z
    .tuple([z.object({ filename: z.string(), files: z.array(z.object({ path: z.string() })) })])
    .parse(JSON.parse(stdout.slice(stdout.search(/^\[/m))));
  files = packed.files.map(({ path }) => path).toSorted();
  const modules = join(folder, "node_modules");
  symlinkSync(join(clone, "node_modules"), modules);
  installed = join(folder, "unpacked", "package");
  mkdirSync(join(folder, "unpacked"));
  symlinkSync(modules, join(folder, "unpacked", "node_modules"));
  await run("tar", ["-xzf", join(folder, packed.filename), "-C", join(folder, "unpacked")]);
}, 120_000);
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const cortensorNode = (...args: string[]) =>
  run(process.execPath, [join(installed, "bin/cortensor-node.js"), ...args], {
    cwd: folder,
    env: { ...process.env, CORTENSOR_HOME: join(folder, "home"), NO_COLOR: "1" },
  });

describe("the package", () => {
  test("holds the command, its bundle, its words, and nothing else", () => {
    expect(files).toEqual([
      "README.md",
      "bin/cortensor-node.js",
      "dist/cli.js",
      "dist/grammar-thread.js",
      "package.json",
    ]);
  });

  test("is small: no model, no map, no test came along", () => {
    expect(statSync(join(installed, "dist/cli.js")).size).toBeLessThan(500_000);
  });

  test("says its version without a clone around it", async () => {
    expect(existsSync(join(installed, "cli.ts"))).toBe(false);
    expect((await cortensorNode("--version")).stdout).toBe(`cortensor-node/${description.version}\n`);
  });

  test("lists the catalogue's models for a cache of its own", async () => {
    const { stdout } = await cortensorNode("models", "list", "--cache", join(folder, "cache"));
    expect(stdout).toMatch(/^smollm2-135m-instruct +chat/m);
    expect(stdout).toMatch(/^all-minilm-l6-v2 +embedding/m);
  });

  test("names its command and needs the Node that its command asks for", () => {
    expect(description.bin).toEqual({ "cortensor-node": "bin/cortensor-node.js" });
    expect(description.engines.node).toBe(">=22.12");
    expect(readFileSync(join(installed, "bin/cortensor-node.js"), "utf8")).toMatch(/^#!\/usr\/bin\/env node\n/);
    expect(statSync(join(installed, "bin/cortensor-node.js")).mode & 0o111).not.toBe(0);
  });
});

describe("the bundle", () => {
  const imported = (text: string) =>
    [...text.matchAll(/^(?:import|export)\b(?:[^"';]*?\bfrom)? ?"([^"]+)"|\bimport\("([^"]+)"\)/gm)].map(
      (match) => match[1] ?? match[2] ?? "",
    );

  test("imports Node and its dependencies alone: core is in it", () => {
    const text = readFileSync(join(installed, "dist/cli.js"), "utf8");
    const packages = imported(text).filter((name) => !name.startsWith("node:"));
    expect(Object.keys(description.dependencies)).toEqual(expect.arrayContaining([...new Set(packages)]));
    expect(packages).toContain("node-llama-cpp");
    expect(packages).toContain("zod");
  });

  test("tells nothing of the machine that made it", () => {
    const text = readFileSync(join(installed, "dist/cli.js"), "utf8");
    for (const path of [clone, tmpdir()]) expect(text).not.toContain(`${path}/`);
    expect(text).not.toContain("sourceMappingURL");
  });
});

test("the README tells every flag of start and every command", async () => {
  const readme = readFileSync(join(installed, "README.md"), "utf8");
  const { stdout } = await cortensorNode("start", "--help");
  const flags = [...stdout.matchAll(/^ {2}(--[a-z-]+)/gm)].map((match) => match[1] ?? "");
  expect(flags.length).toBeGreaterThan(8);
  for (const flag of flags) expect(readme).toContain(`| \`${flag}`);
  for (const command of ["doctor", "start", "status", "models list", "models pull", "models add", "models verify"]) {
    expect(readme).toContain(`cortensor-node ${command}`);
  }
});
