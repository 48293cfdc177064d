import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { defaultCacheDir } from "../../worker-node/models/cache-dir.ts";
import { Child } from "./child.ts";

const requirements = join(import.meta.dirname, "requirements.txt");

/**
 * The path of a Python with the packages of requirements.txt. They are installed once, into a folder of the cache that
 * is named by the file's hash; throws what to install where this machine has no Python to begin with.
 */
export function ensurePython(): string {
  const sha256 = createHash("sha256").update(readFileSync(requirements)).digest("hex");
  const folder = join(defaultCacheDir(), `e2e-python-${sha256.slice(0, 12)}`);
  const python = join(folder, "bin/python");
  const whole = join(folder, "installed");
  if (existsSync(whole)) return python;
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(dirname(folder), { recursive: true });
  const missing = "These tests need Python 3.10 or later with its venv module (on Debian: apt install python3-venv).";
  perform("python3", ["-m", "venv", folder], missing);
  const install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--requirement", requirements];
  perform(python, install, "pip could not install the packages of test/e2e/requirements.txt.");
  writeFileSync(whole, "");
  return python;
}

/** Runs a script of this folder with `input` as JSON on its standard input; returns what it printed, parsed. */
export async function runPython(python: string, script: string, input: unknown): Promise<unknown> {
  const child = new Child(python, [join(import.meta.dirname, script)], { stdio: ["pipe", "pipe", "pipe"] });
  child.process.stdin?.end(JSON.stringify(input));
  const { code } = await child.exited;
  if (code !== 0) throw new Error(`${script} ended with ${code}:\n${child.stderr}`);
  return JSON.parse(child.stdout);
}

function perform(command: string, args: readonly string[], problem: string): void {
  const { status, error, stdout, stderr } = spawnSync(command, [...args], { encoding: "utf8" });
  if (status === 0) return;
  throw new Error([problem, error?.message, stdout, stderr].filter(Boolean).join("\n"));
}
