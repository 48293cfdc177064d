import { createHash, type Hash } from "node:crypto";
import { createReadStream } from "node:fs";
import { type FileHandle, mkdir, open, readdir, rename, rm, stat } from "node:fs/promises";
import { hostname } from "node:os";
import { basename, dirname, join } from "node:path";
import { randomText } from "../../core/ids.ts";
import { explainFileError, ModelError, systemErrorCode } from "./model-error.ts";

/** Owner of a part on another machine (a shared cache): taken for dead after this silence. */
const foreignSilenceMs = 60_000;

/** This machine in part names: letters and digits only, so that the name can be taken apart at its dashes. */
const thisHost = hostname().replace(/[^A-Za-z0-9]/g, "") || "host";

/**
 * A file on its way in: bytes are appended and hashed, and only a whole file with the right SHA-256 gets its name.
 *
 * Each process writes a part of its own (`<file>.<host>-<pid>-<random>.part`), so that two pulls of one model never
 * write into each other; both finish and the same bytes stand there. A part left behind by a process that ended is
 * taken over by renaming it, which only one can do, and continued.
 */
export class PartFile {
  readonly #target: string;
  readonly #expected: { sha256: string; sizeBytes: number };
  readonly #path: string;
  readonly #handle: FileHandle;
  #hash: Hash;
  #sizeBytes: number;

  private constructor(fields: { target: string; expected: PartFile["expected"]; path: string; handle: FileHandle }) {
    this.#target = fields.target;
    this.#expected = fields.expected;
    this.#path = fields.path;
    this.#handle = fields.handle;
    this.#hash = createHash("sha256");
    this.#sizeBytes = 0;
  }

  /**
   * Opens a part for `target`, continuing what an earlier process left of it. `sizeBytes` is the whole file's.
   * Throws `ModelError` `disk_full` or `permission_denied`, as all methods here do.
   */
  static async open(target: string, expected: { sha256: string; sizeBytes: number }): Promise<PartFile> {
    const path = `${target}.${thisHost}-${process.pid}-${randomText(8)}.part`;
    try {
      await mkdir(dirname(target), { recursive: true });
      await takeOver(target, path);
      const part = new PartFile({ target, expected, path, handle: await open(path, "a+") });
      await part.#hashWhatIsThere();
      return part;
    } catch (cause) {
      throw explainFileError(cause, target);
    }
  }

  get expected(): { sha256: string; sizeBytes: number } {
    return this.#expected;
  }

  /** Bytes that stand in the part. */
  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  async #hashWhatIsThere(): Promise<void> {
    const { size } = await stat(this.#path);
    if (size > this.#expected.sizeBytes) return this.restart();
    for await (const chunk of createReadStream(this.#path, { highWaterMark: 1 << 20 })) this.#hash.update(chunk);
    this.#sizeBytes = size;
  }

  /** Throws `hash_mismatch` where the file grows past the size it must have. */
  async append(chunk: Uint8Array): Promise<void> {
    if (this.#sizeBytes + chunk.length > this.#expected.sizeBytes) {
      await this.restart();
      throw new ModelError(
        "hash_mismatch",
        `${basename(this.#target)} is longer than the ${this.#expected.sizeBytes} bytes it must have; it was removed.`,
      );
    }
    try {
      await this.#handle.appendFile(chunk);
    } catch (cause) {
      throw explainFileError(cause, this.#target);
    }
    this.#hash.update(chunk);
    this.#sizeBytes += chunk.length;
  }

  /** Drops all bytes. */
  async restart(): Promise<void> {
    await this.#handle.truncate(0);
    this.#hash = createHash("sha256");
    this.#sizeBytes = 0;
  }

  /** Whether the bytes so far are the whole file. */
  isWhole(): boolean {
    return this.#hash.copy().digest("hex") === this.#expected.sha256;
  }

  /** Gives the file its name; a part with another SHA-256 is removed, `hash_mismatch`. Ends the part. */
  async finish(): Promise<void> {
    const sha256 = this.#hash.digest("hex");
    if (sha256 !== this.#expected.sha256) {
      await this.discard();
      throw new ModelError(
        "hash_mismatch",
        `${basename(this.#target)} has SHA-256 ${sha256} but must have ${this.#expected.sha256}; it was removed.`,
      );
    }
    try {
      await this.#handle.sync();
      await this.#handle.close();
      await rename(this.#path, this.#target);
    } catch (cause) {
      throw explainFileError(cause, this.#target);
    }
  }

  /** Removes the bytes. Ends the part. */
  async discard(): Promise<void> {
    await this.#handle.close();
    await rm(this.#path, { force: true });
  }

  /** Leaves the bytes for the next try, of this process or another; an empty part is removed. Ends the part. */
  async release(): Promise<void> {
    if (this.#sizeBytes === 0) return this.discard();
    await this.#handle.close();
    await rename(this.#path, `${this.#target}.part`);
  }
}

/** Renames the longest part that nobody writes any more to `path`; does nothing where there is none. */
async function takeOver(target: string, path: string): Promise<void> {
  const start = `${basename(target)}.`;
  const left: { candidate: string; sizeBytes: number }[] = [];
  for (const entry of await readdir(dirname(target))) {
    if (!entry.startsWith(start) || !entry.endsWith("part")) continue;
    const candidate = join(dirname(target), entry);
    const found = await stat(candidate).catch(gone);
    if (found && isAbandoned(entry.slice(start.length), found.mtimeMs)) {
      left.push({ candidate, sizeBytes: found.size });
    }
  }
  for (const { candidate } of left.sort((a, b) => b.sizeBytes - a.sizeBytes)) {
    if (await rename(candidate, path).then(() => true, gone)) return;
  }
}

/** `tail` is what follows the target's name: `part`, or `<host>-<pid>-<random>.part`. */
function isAbandoned(tail: string, modifiedMs: number): boolean {
  if (tail === "part") return true;
  const owner = /^(?<host>[A-Za-z0-9]+)-(?<pid>\d+)-[0-9a-z]+\.part$/.exec(tail)?.groups;
  if (owner === undefined) return false;
  if (owner.host !== thisHost) return Date.now() - modifiedMs > foreignSilenceMs;
  try {
    process.kill(Number(owner.pid), 0);
    return false;
  } catch (cause) {
    // EPERM: it lives, under another user.
    return systemErrorCode(cause) === "ESRCH";
  }
}

/** Another process was first. */
function gone(cause: unknown): undefined {
  if (systemErrorCode(cause) === "ENOENT") return undefined;
  throw cause;
}
