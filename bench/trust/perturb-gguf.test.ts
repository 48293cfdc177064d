import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { writeTinyChatModel } from "../../test/models/tiny-gguf.ts";
import { fromFloat16 } from "../../worker-node/models/float16.ts";
import { readGgufHeader } from "../../worker-node/models/gguf-header.ts";
import { perturbGguf } from "./perturb-gguf.ts";
import { quantizeGguf } from "./quantize-gguf.ts";

const folder = mkdtempSync(join(tmpdir(), "cortensor-perturb-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test("a perturbed copy has scales that are off by the stated size, and nothing else changed", async () => {
  const plain = join(folder, "plain.gguf");
  writeTinyChatModel(plain, { seed: 1 });
  const source = join(folder, "q4_1.gguf");
  await quantizeGguf({ source: plain, target: source, fileType: "Q4_1" });
  const targets = ["one", "two"].map((name) => join(folder, `${name}.gguf`));
  for (const target of targets) perturbGguf({ source, target, relativeSize: 0.05, seed: 7 });
  const [one, two] = targets.map((target) => readFileSync(target));
  const before = readFileSync(source);
  expect(one).toEqual(two);
  const ratios: number[] = [];
  const isScale = new Uint8Array(before.length);
  for (const { type, offsetBytes, sizeBytes = 0 } of readGgufHeader(source).tensors) {
    if (type !== 3) continue;
    for (let at = offsetBytes; at < offsetBytes + sizeBytes; at += 20) {
      isScale.fill(1, at, at + 4);
      ratios.push(fromFloat16(one?.readUInt16LE(at) ?? 0) / fromFloat16(before.readUInt16LE(at)));
    }
  }
  const changed = before.findIndex((byte, at) => isScale[at] === 0 && one?.[at] !== byte);
  expect(changed).toBe(-1);
  const known = ratios.filter(Number.isFinite);
  const deviation = Math.sqrt(known.reduce((sum, ratio) => sum + (ratio - 1) ** 2, 0) / known.length);
  expect(known.length).toBeGreaterThan(100);
  expect(deviation).toBeGreaterThan(0.045);
  expect(deviation).toBeLessThan(0.055);
});
