import { spawnSync } from "node:child_process";
import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { DirectoryInUse, lockDirectory } from "./directory-lock.ts";

async function temporaryDirectory(): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), "lock-"));
  onTestFinished(() => rm(directory, { recursive: true }));
  return directory;
}

test("a directory is taken once, and again when it was given back", async () => {
  const directory = join(await temporaryDirectory(), "not", "there", "yet");
  const unlock = await lockDirectory(directory);
  await expect(lockDirectory(directory)).rejects.toThrow(
    `The data directory ${directory} is in use by process ${process.pid}; stop that process or choose another directory.`,
  );
  await unlock();
  await (await lockDirectory(directory))();
  expect(await readdir(directory)).toEqual([]);
});

test("of many who try at once one gets the directory", async () => {
  const directory = await temporaryDirectory();
  const tries = await Promise.allSettled(Array.from({ length: 20 }, () => lockDirectory(directory)));
  const refusals = tries.flatMap((outcome) => (outcome.status === "rejected" ? [outcome.reason] : []));
  expect(refusals).toHaveLength(19);
  for (const refusal of refusals) expect(refusal).toBeInstanceOf(DirectoryInUse);
});

test("a lock of a process that is gone is taken over", async () => {
  const directory = await temporaryDirectory();
  const { pid } = spawnSync(process.execPath, ["--version"]);
  await writeFile(join(directory, "lock"), JSON.stringify({ pid, startedAt: null }));
  await (await lockDirectory(directory))();
  expect(await readdir(directory)).toEqual([]);
});

test.runIf(process.platform === "linux")(
  "a lock whose process number belongs to another by now is taken over",
  async () => {
    const directory = await temporaryDirectory();
    await writeFile(join(directory, "lock"), JSON.stringify({ pid: process.pid, startedAt: "an earlier boot 1" }));
    await (await lockDirectory(directory))();
  },
);
