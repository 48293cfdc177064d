import {
  existsSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type QuantizedType, quantizeGguf } from "../../bench/trust/quantize-gguf.ts";
import { modelHashSchema } from "../../core/ids.ts";
import { modelNameSchema } from "../../core/model/model-card.ts";
import { writeTinyChatModel } from "../../test/models/tiny-gguf.ts";
import { toEightBits } from "./eight-bits.ts";
import { readGgufHeader } from "./gguf-header.ts";
import { holdReadingCopy } from "./hold-reading-copy.ts";
import { readingCopyBytes, writeReadingCopy } from "./reading-copy.ts";

const folder = mkdtempSync(join(tmpdir(), "cortensor-reading-copy-"));
const plain = join(folder, "plain.gguf");
/** Compilers for other processors join a product and a sum into one rounding. */
const mostOtherBytes = process.arch === "x64" ? 0 : 0.005;
const made = async (source: string, fileType: QuantizedType): Promise<string> => {
  const target = join(folder, `${fileType}-of-${source.split("/").at(-1)}`);
  await quantizeGguf({ source, target, fileType });
  return target;
};
beforeAll(() => writeTinyChatModel(plain, { seed: 1 }));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe.each<QuantizedType>(["Q4_1", "Q5_1"])("a reading copy of %s", (fileType) => {
  test("has the weights that llama.cpp's own quantiser makes of it, and all else unchanged", async () => {
    const source = await made(plain, fileType);
    const [target, theirs] = [join(folder, `copy-of-${fileType}.gguf`), await made(source, "Q8_0")];
    writeReadingCopy({ source, target });
    const [before, copy, oracle] = [source, target, theirs].map((path) => ({
      ...readGgufHeader(path),
      bytes: readFileSync(path),
    }));
    if (before === undefined || copy === undefined || oracle === undefined) throw new Error("unreachable");
    expect(copy.bytes.length).toBe(readingCopyBytes(before));
    expect(JSON.stringify([...copy.metadata])).toBe(JSON.stringify([...before.metadata]));
    let converted = 0;
    for (const [index, tensor] of copy.tensors.entries()) {
      const source = before.tensors[index];
      const isConverted = source?.type !== tensor.type;
      const from = isConverted ? oracle : before;
      const original = from.tensors.find(({ name }) => name === tensor.name);
      expect(original?.type).toBe(tensor.type);
      const bytesOf = (
        bytes: Buffer,
        { offsetBytes, sizeBytes = 0 }: { offsetBytes: number; sizeBytes: number | undefined },
      ) => bytes.subarray(offsetBytes, offsetBytes + sizeBytes);
      if (original === undefined) throw new Error(`${tensor.name} is missing`);
      const [ours, theirs] = [bytesOf(copy.bytes, tensor), bytesOf(from.bytes, original)];
      const others = ours.filter((byte, at) => byte !== theirs[at]).length;
      expect(ours.length).toBe(theirs.length);
      expect(others, tensor.name).toBeLessThanOrEqual(isConverted ? mostOtherBytes * ours.length : 0);
      converted += isConverted ? 1 : 0;
    }
    expect(converted).toBeGreaterThan(10);
  });
});

test("a file whose weights are read fast as they are gets no copy", async () => {
  for (const path of [plain, await made(plain, "Q8_0"), await made(plain, "Q4_0")]) {
    expect(readingCopyBytes(readGgufHeader(path))).toBeUndefined();
  }
});

test("a block of zeros stays one, and half a block is refused", () => {
  expect([...toEightBits(new Uint8Array(20), 3)]).toEqual(Array.from({ length: 34 }, () => 0));
  expect(() => toEightBits(new Uint8Array(30), 3)).toThrow("no blocks of 20");
  expect(() => toEightBits(new Uint8Array(18), 2)).toThrow("no format with an offset");
});

describe("a held copy", () => {
  const hold = async (options: { freeBytes?: number; cacheDir?: string } = {}) => {
    const lines: string[] = [];
    const model = {
      name: modelNameSchema.parse("tiny"),
      path: await made(plain, "Q4_1"),
      fileSha256: modelHashSchema.parse("a".repeat(64)),
    };
    const path = await holdReadingCopy(model, { cacheDir: folder, out: (line) => lines.push(line), ...options });
    return { path, lines };
  };

  test("is made once, and again where it is not whole", async () => {
    const { path = "", lines } = await hold();
    expect(lines).toEqual([expect.stringContaining("making a copy of 8 bits")]);
    const { size, mtimeMs } = statSync(path);
    expect(await hold()).toEqual({ path, lines: [] });
    expect(statSync(path).mtimeMs).toBe(mtimeMs);
    truncateSync(path, 100);
    // What another node left, long ago and just now.
    const drafts = ["old", "new"].map((name) => `${path}.${name}.part`);
    for (const draft of drafts) writeFileSync(draft, "");
    utimesSync(drafts[0] ?? "", 0, 0);
    expect((await hold()).path).toBe(path);
    expect(statSync(path).size).toBe(size);
    expect(drafts.map((draft) => existsSync(draft))).toEqual([false, true]);
  });

  test("is not made where memory is short or the cache can't be written, which is said", async () => {
    const short = await hold({ freeBytes: 1_000 });
    expect(short).toEqual({ path: undefined, lines: [expect.stringContaining("four times its size")] });
    const unwritable = await hold({ cacheDir: plain });
    expect(unwritable).toEqual({
      path: undefined,
      lines: [expect.any(String), expect.stringContaining("no copy could be written")],
    });
  });
});
