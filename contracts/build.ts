import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { abiFile, abiSource } from "./abi-source.ts";

/** Compiles the contracts and writes the ABI that TypeScript reads. */
const here = import.meta.dirname;
const source = await abiSource({ outDirectory: join(here, "out"), cacheDirectory: join(here, "cache") });
await writeFile(join(here, abiFile), source);
console.log(`Compiled contracts/src into contracts/out and wrote contracts/${abiFile}`);
