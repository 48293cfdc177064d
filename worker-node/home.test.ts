import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { newNodeKey } from "../core/identity/node-key.ts";
import { BrokenHomeError, defaultHomeDir, loadNodeKey, writeAtomically } from "./home.ts";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "home-"));
});
afterEach(() => {
  vi.unstubAllEnvs();
  rmSync(folder, { recursive: true });
});

describe("a node's key", () => {
  test("is drawn once and stays: it is the node's identity", async () => {
    const first = await loadNodeKey(folder);
    expect(await loadNodeKey(folder)).toEqual(first);
  });

  test("is its home's own: two homes are two nodes", async () => {
    expect(await loadNodeKey(join(folder, "a"))).not.toEqual(await loadNodeKey(join(folder, "b")));
  });

  test("may be read by its owner alone, and so may its home", async () => {
    const home = join(folder, "new", "home");
    await loadNodeKey(home);
    expect(statSync(join(home, "node-key.json")).mode & 0o777).toBe(0o600);
    expect(statSync(home).mode & 0o777).toBe(0o700);
  });

  const broken = "is not a node key. Restore it from a backup, or move it away to draw a new identity.";
  test.each<[what: string, text: string]>([
    ["nothing", ""],
    ["no JSON", "{"],
    ["another thing", '{"key":"x"}'],
    ["a key that is none", '{"publicKey":"AAAA","privateKey":"AAAA"}'],
    ["a key that is text", '{"publicKey":"not base64!","privateKey":"not base64!"}'],
  ])("file that holds %s is an error that says what to do, and is left as it is", async (_what, text) => {
    const path = join(folder, "node-key.json");
    writeFileSync(path, text);
    await expect(loadNodeKey(folder)).rejects.toThrow(new BrokenHomeError(`${path} ${broken}`));
    expect(readFileSync(path, "utf8")).toBe(text);
  });

  test("file with halves of two keys is an error, not a node that no router takes", async () => {
    const [one, other] = [await newNodeKey(), await newNodeKey()];
    const write = (key: object) => writeFileSync(join(folder, "node-key.json"), JSON.stringify(key));
    write({ publicKey: one.publicKey, privateKey: other.privateKey });
    await expect(loadNodeKey(folder)).rejects.toThrow(broken);
    // The control: the same file with both halves of one key is taken.
    write(one);
    expect(await loadNodeKey(folder)).toEqual(one);
  });
});

describe("the home", () => {
  test("is what CORTENSOR_HOME says", () => {
    vi.stubEnv("CORTENSOR_HOME", folder);
    expect(defaultHomeDir()).toBe(folder);
  });

  test.each([undefined, ""])("is .cortensor where CORTENSOR_HOME is %j", (value) => {
    vi.stubEnv("CORTENSOR_HOME", value);
    expect(defaultHomeDir()).toMatch(/.\/\.cortensor$/);
  });
});

test("a file written over another leaves no draft, and has the mode asked for", () => {
  const path = join(folder, "file.json");
  writeAtomically(path, "old", 0o644);
  writeAtomically(path, "new", 0o600);
  expect(readFileSync(path, "utf8")).toBe("new");
  expect(statSync(path).mode & 0o777).toBe(0o600);
  expect(readdirSync(folder)).toEqual(["file.json"]);
});
