import { mkdir, readdir, rename, rm, stat } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { randomText } from "../../core/ids.ts";
import { modelDir } from "./cache-dir.ts";
import { readGgufHeader } from "./gguf-header.ts";
import { megabytes } from "./progress-bar.ts";
import { readingCopyBytes, writeReadingCopy } from "./reading-copy.ts";
import type { ResolvedModel } from "./store.ts";

const draftAgeMs = 3_600_000;
/** A copy may take so much of the memory that is free when it is made. */
const memoryShare = 1 / 4;

/**
 * Path of the copy that checks of this model's answers read first (`reading-copy.ts`), `<model's folder>/<sha256>.q8_0.gguf`;
 * it is made where it is missing. `undefined` where a copy would not be read faster than the file, and, which is said
 * through `out`, where it would take more than a quarter of the free memory or can't be written: checks then read the
 * file itself.
 */
export async function holdReadingCopy(
  { name, path, fileSha256 }: Pick<ResolvedModel, "name" | "path" | "fileSha256">,
  {
    cacheDir,
    out,
    freeBytes = process.availableMemory(),
  }: { cacheDir: string; out: (line: string) => void; freeBytes?: number },
): Promise<string | undefined> {
  const sizeBytes = readingCopyBytes(readGgufHeader(path));
  if (sizeBytes === undefined) return undefined;
  const size = megabytes(sizeBytes);
  if (sizeBytes > memoryShare * freeBytes) {
    out(
      `${name}: checks read the file itself; a copy that is read faster (${size}) wants four times its size of free memory`,
    );
    return undefined;
  }
  const target = join(modelDir(cacheDir, name), `${fileSha256}.q8_0.gguf`);
  if ((await bytesOf(target)) === sizeBytes) return target;
  out(`${name}: making a copy of 8 bits for reading checks (once, ${size})`);
  // Nodes of one cache may make it at the same time; each has a draft of its own, and both are the same.
  const draft = `${target}.${randomText(8)}.part`;
  try {
    await mkdir(modelDir(cacheDir, name), { recursive: true });
    await removeOldDrafts(target);
    writeReadingCopy({ source: path, target: draft });
    await rename(draft, target);
    return target;
  } catch (error) {
    await rm(draft, { force: true }).catch(() => {});
    const reason = error instanceof Error ? error.message : String(error);
    out(`warning: ${name}: checks read the file itself, since no copy could be written: ${reason}`);
    return undefined;
  }
}

/** Those of nodes that ended while they made one; nobody takes an hour. */
async function removeOldDrafts(target: string): Promise<void> {
  for (const entry of await readdir(dirname(target))) {
    if (!entry.startsWith(`${basename(target)}.`)) continue;
    const draft = join(dirname(target), entry);
    const made = await stat(draft).catch(() => undefined);
    if (made !== undefined && Date.now() - made.mtimeMs > draftAgeMs) await rm(draft, { force: true });
  }
}

async function bytesOf(path: string): Promise<number | undefined> {
  return stat(path).then(
    ({ size }) => size,
    () => undefined,
  );
}
