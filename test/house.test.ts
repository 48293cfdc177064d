import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join, posix, resolve } from "node:path";
import { describe, expect, test } from "vitest";
import { z } from "zod";

const root = resolve(import.meta.dirname, "..");

interface SourceFile {
  /** From the root, with forward slashes. */
  path: string;
  text: string;
}

/** Which rooms, or parts of them, a room's files may import. Packages are another matter (below). */
const mayImport: Readonly<Record<string, readonly string[]>> = {
  core: ["core"],
  db: ["core", "db"],
  contracts: ["contracts"],
  edge: ["core", "db", "contracts/abi", "edge"],
  "worker-node": ["core", "contracts/abi", "worker-node"],
  devnet: ["core", "db", "contracts/abi", "worker-node", "devnet"],
  docs: ["core", "docs"],
  bench: ["core", "db", "edge", "worker-node", "devnet", "bench"],
  examples: ["examples"],
  test: ["core", "db", "contracts", "edge", "worker-node", "devnet", "test"],
};

/** The packages a room may import, where it may not import all that are installed. `cloudflare:` is the platform. */
const mayUse: Readonly<Record<string, RegExp>> = {
  core: /^zod$/,
  edge: /^(zod|hono(\/.*)?|cloudflare:.*)$/,
};

/** Files that only tests load: what tests may import, they may too. */
const isOfTests = (path: string) =>
  /\.(test|e2e|fixture)\.ts$|-conformance\.ts$|\/testing\//.test(path) || path.startsWith("test/");

/** What the tests of every room share: the last makes quantised models, by llama.cpp's own quantiser. */
const fixtures = ["test/models", "test/workerd", "bench/trust/quantize-gguf.ts"];

/** What a file imports, types too: `import … from "x"`, `export … from "x"`, `import "x"`, `import("x")`. */
function importsOf(text: string): string[] {
  const statement = /^(?:import|export)\b(?:[^"'`;]*?\bfrom)?\s*["']([^"'\n]+)["']/gm;
  const call = /\bimport\(\s*["'`]([^"'`\n]+)["'`]/g;
  return [statement, call].flatMap((pattern) => [...text.matchAll(pattern)].map((match) => match[1] ?? ""));
}

const isWithin = (path: string, folder: string) => path === folder || path.startsWith(`${folder}/`);
const roomOf = (path: string) => path.split("/")[0] ?? "";

/** Every import that goes against the house's arrows, as a sentence. */
function wrongArrows(files: readonly SourceFile[]): string[] {
  return files.flatMap(({ path, text }) =>
    importsOf(text).flatMap((specifier) => {
      const problem = specifier.startsWith(".")
        ? wrongNeighbour(path, posix.join(posix.dirname(path), specifier))
        : wrongPackage(path, specifier);
      return problem === undefined ? [] : [`${path} imports ${specifier}: ${problem}`];
    }),
  );
}

function wrongNeighbour(path: string, target: string): string | undefined {
  const room = roomOf(path);
  const isLoose = !path.includes("/");
  const allowed = isLoose ? [] : (mayImport[room] ?? []);
  if (!isOfTests(path) && isOfTests(target)) return "only tests may";
  if (isOfTests(path) && fixtures.some((folder) => isWithin(target, folder))) return undefined;
  return allowed.some((folder) => isWithin(target, folder)) ? undefined : `${room} may not`;
}

function wrongPackage(path: string, specifier: string): string | undefined {
  const allowed = mayUse[roomOf(path)];
  if (allowed === undefined || isOfTests(path)) return undefined;
  return allowed.test(specifier) ? undefined : `${roomOf(path)} may not use it`;
}

/** Files that git holds or would hold, but those that it shows as deleted. */
const paths = execFileSync("git", ["-c", "safe.directory=*", "ls-files", "-co", "--exclude-standard", "-z"], {
  cwd: root,
  encoding: "utf8",
  maxBuffer: 64 * 1024 * 1024,
})
  .split("\0")
  .filter((path) => path !== "" && existsSync(join(root, path)));
const files: SourceFile[] = paths.map((path) => ({ path, text: readFileSync(join(root, path), "utf8") }));
const sources = files.filter(({ path }) => /\.m?[jt]s$/.test(path));

describe("the arrows", () => {
  test("every import goes where the house lets it", () => {
    expect(wrongArrows(sources)).toEqual([]);
  });

  test("every room with sources has its arrows", () => {
    const rooms = new Set(sources.filter(({ path }) => path.includes("/")).map(({ path }) => roomOf(path)));
    for (const room of rooms) expect(Object.keys(mayImport)).toContain(room);
    for (const room of ["core", "edge", "worker-node", "db", "devnet"]) expect([...rooms]).toContain(room);
  });

  /** Made-up imports, each against one arrow: a checker that lets one by guards nothing. */
  test.each<[arrow: string, path: string, text: string]>([
    ["core imports itself alone", "core/a.ts", 'import { b } from "../db/b.ts";'],
    ["core uses zod alone", "core/a.ts", 'import { Hono } from "hono";'],
    ["core has no platform", "core/a.ts", 'import { readFileSync } from "node:fs";'],
    ["edge has no Node", "edge/a.ts", 'import { join } from "node:path";'],
    ["edge does not know the node", "edge/a.ts", 'import { b } from "../worker-node/b.ts";'],
    ["the node does not know the edge", "worker-node/a.ts", 'import { b } from "../edge/b.ts";'],
    ["not by a type either", "worker-node/engine/a.ts", 'import type { B } from "../../edge/b.ts";'],
    ["nor on many lines", "worker-node/a.ts", 'import {\n  a,\n  b,\n} from "../edge/b.ts";'],
    ["nor by handing on", "worker-node/a.ts", 'export { b } from "../edge/b.ts";'],
    ["nor for its effects", "worker-node/a.ts", 'import "../edge/b.ts";'],
    ["nor at run time", "worker-node/a.ts", 'const b = await import("../edge/b.ts");'],
    ["nor from a test", "worker-node/a.test.ts", 'import { b } from "../edge/b.ts";'],
    ["the node does not know the record", "worker-node/a.ts", 'import { b } from "../db/b.ts";'],
    ["the record does not know the edge", "db/a.ts", 'import { b } from "../edge/b.ts";'],
    ["of the contracts the edge knows the ABI alone", "edge/a.ts", 'import { b } from "../contracts/forge.ts";'],
    ["nothing imports test", "devnet/a.ts", 'import { b } from "../test/models/b.ts";'],
    ["a test elsewhere imports its models alone", "devnet/a.test.ts", 'import { b } from "../test/e2e/b.ts";'],
    ["nothing imports bench", "test/a.test.ts", 'import { b } from "../bench/b.ts";'],
    ["nothing imports examples", "test/a.test.ts", 'import { b } from "../examples/b.ts";'],
    ["only tests import what is theirs", "core/a.ts", 'import { b } from "./testing/b.ts";'],
  ])("%s", (_arrow, path, text) => {
    expect(wrongArrows([{ path, text }])).toHaveLength(1);
  });

  test.each<[path: string, text: string]>([
    ["edge/a.ts", 'import { b } from "../contracts/abi/b.ts";'],
    ["edge/objects/a.ts", 'import { b } from "cloudflare:workers";\nimport { z } from "zod";'],
    ["worker-node/engine/a.test.ts", 'import { b } from "../../test/models/b.ts";'],
    ["core/task/a.test.ts", 'import { expect } from "vitest";\nimport { b } from "../testing/b.ts";'],
    ["devnet/a.ts", "const lines = [\n'  import OpenAI from \"../edge/b.ts\";',\n];"],
  ])("the checker lets %s have what it may: %j", (path, text) => {
    expect(wrongArrows([{ path, text }])).toEqual([]);
  });
});

const manifestSchema = z.object({ dependencies: z.record(z.string(), z.string()).default({}) });
const dependenciesOf = (path: string) =>
  Object.keys(manifestSchema.parse(JSON.parse(readFileSync(join(root, path), "utf8"))).dependencies);

/** `@scope/name/part` as `@scope/name`. */
const packageOf = (specifier: string) =>
  specifier
    .split("/")
    .slice(0, specifier.startsWith("@") ? 2 : 1)
    .join("/");

test.each([
  ["worker-node", "worker-node/package.json", ["core", "worker-node"]],
  ["the router", "package.json", ["core", "db", "edge"]],
] as const)("what %s runs on is in its dependencies, not among the tools", (_what, manifest, rooms) => {
  const isTool = (path: string) => /\.config\.ts$|^worker-node\/pack\.ts$/.test(path);
  const used = sources
    .filter(({ path }) => rooms.some((room) => isWithin(path, room)) && !isOfTests(path) && !isTool(path))
    .flatMap(({ text }) => importsOf(text))
    .filter((specifier) => !/^(\.|node:|cloudflare:)/.test(specifier))
    .map(packageOf);
  expect(dependenciesOf(manifest)).toEqual(expect.arrayContaining([...new Set(used)]));
  expect(used.length).toBeGreaterThan(5);
});

describe("no file", () => {
  test("tells of one machine: no path of a home or a workplace", () => {
    const machine = /(?<![\w.:/])\/(home|Users|root|work|workspace|mnt)\/[\w.-]/;
    const found = files.flatMap(({ path, text }) =>
      text.split("\n").flatMap((line, index) => (machine.test(line) ? [`${path}:${index + 1}`] : [])),
    );
    expect(found).toEqual([]);
    expect(`cd ${["", "home", "me"].join("/")}`).toMatch(machine);
  });

  test("names a registry: packages come from whichever the machine is set to use", () => {
    const registry =
      /\bregistry\.[a-z0-9.-]+\.(?:com|org|net|io|dev)\b|\/\/[^\s"'/]*(?:pypi|npmjs)\.(?:org|com)|^(?:@[\w-]+:)?registry=/m;
    const found = files.filter(({ text }) => registry.test(text)).map(({ path }) => path);
    expect(found).toEqual([]);
    for (const host of [["registry", "example", "com"].join("."), `https://${["pypi", "org"].join(".")}/simple`]) {
      expect(host).toMatch(registry);
    }
  });

  test("of the lock file says where a package was fetched from", () => {
    const lock = z
      .object({ packages: z.record(z.string(), z.object({ resolved: z.string().optional() })) })
      .parse(JSON.parse(readFileSync(join(root, "package-lock.json"), "utf8")));
    const hosts = Object.entries(lock.packages).filter(([, { resolved }]) => resolved?.includes(":"));
    expect(hosts).toEqual([]);
    expect(Object.keys(lock.packages).length).toBeGreaterThan(100);
  });

  /** Files that may be longer, each to its own bound and for its own reason. */
  const longer: Readonly<Record<string, { lines: number; why: string }>> = {
    "contracts/abi/node-registry.ts": { lines: 2_000, why: "generated from the contracts" },
  };
  test("of code has more than 400 lines, or 600 of tests, but those that say why", () => {
    const found = files
      .filter(({ path }) => /\.(m?[jt]s|sol|sh|py)$/.test(path))
      .map(({ path, text }) => ({ path, lines: text.trimEnd().split("\n").length }))
      .filter(({ path, lines }) => lines > (longer[path]?.lines ?? (isOfTests(path) ? 600 : 400)))
      .map(({ path, lines }) => `${path} has ${lines} lines`);
    expect(found).toEqual([]);
  });

  test("that may be longer is gone", () => {
    for (const path of Object.keys(longer)) expect(paths).toContain(path);
  });

  test("of tests is skipped, alone or left for later without saying so", () => {
    const mark = /\b(?:test|it|describe)\.(?:only|skip|todo|fixme)\b/;
    const found = sources.filter(({ text }) => mark.test(text)).map(({ path }) => path);
    expect(found).toEqual([]);
    expect(["test", "only"].join(".")).toMatch(mark);
  });
});
