import { spawn } from "node:child_process";
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

/** Numbers of `enum llama_ftype` in llama.h. */
export const quantizedTypes = { Q4_0: 2, Q4_1: 3, Q5_1: 9, Q8_0: 7, Q3_K_S: 11, Q3_K_M: 12 } as const;
export type QuantizedType = keyof typeof quantizedTypes;

/**
 * Writes `source` in another quantisation to `target`, by llama.cpp's quantiser in the library that the node itself
 * runs (`quantize.py`, which needs Python 3 alone). Tensors whose rows the type does not fit get the one that llama.cpp
 * falls back to. Throws with the quantiser's last words where it fails.
 */
export async function quantizeGguf({
  source,
  target,
  fileType,
}: {
  source: string;
  target: string;
  fileType: QuantizedType;
}): Promise<void> {
  const script = join(import.meta.dirname, "quantize.py");
  const child = spawn("python3", [script, libraryFolder(), source, target, String(quantizedTypes[fileType])], {
    stdio: ["ignore", "ignore", "pipe"],
  });
  let said = "";
  child.stderr.on("data", (bytes) => {
    said = `${said}${bytes}`.slice(-4_096);
  });
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once("error", reject);
    child.once("close", resolve);
  });
  if (code !== 0 || !existsSync(target)) throw new Error(`llama.cpp made no ${fileType} of ${source}: ${said.trim()}`);
}

/** Where node-llama-cpp's binaries for this machine's processor are. */
function libraryFolder(): string {
  const entry = fileURLToPath(import.meta.resolve("node-llama-cpp"));
  const packages = join(entry.slice(0, entry.lastIndexOf("node-llama-cpp")), "@node-llama-cpp");
  const system = ({ darwin: "mac", win32: "win" } as Record<string, string>)[process.platform] ?? process.platform;
  const start = `${system}-${process.arch}`;
  const folders = readdirSync(packages).filter((name) => name.startsWith(start));
  const found = folders
    .map((name) => join(packages, name, "bins", name))
    .find((folder) => existsSync(folder) && readdirSync(folder).some((file) => /^libllama\./.test(file)));
  if (found === undefined) throw new Error(`node-llama-cpp has no library to quantise with for ${start}`);
  return found;
}
