import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { abiFile, abiSource } from "./abi-source.ts";

// Compiling takes seconds where the other unit tests take milliseconds.
test("the committed ABI is what the contracts compile to", { timeout: 120_000 }, async () => {
  const directory = await mkdtemp(join(tmpdir(), "contracts-abi-"));
  onTestFinished(() => rm(directory, { recursive: true }));
  const compiled = await abiSource({ outDirectory: join(directory, "out"), cacheDirectory: join(directory, "cache") });
  expect(await readFile(join(import.meta.dirname, abiFile), "utf8"), "run `npm run build -w contracts`").toBe(compiled);
});
