import { accessSync, constants } from "node:fs";
import { delimiter, join, resolve } from "node:path";
import { parseArgs } from "node:util";

export interface EngineBenchFlags {
  /** Fewer and shorter rounds: to see that all works, and roughly where it stands. */
  isQuick: boolean;
  /** Parts to run; all where it is empty. */
  only: readonly string[];
  /** A model's name in the catalogue, or a path to a GGUF. */
  model: string;
  /** Where `llama-server` is: given, else found on PATH; `undefined` where it is not on this machine. */
  llamaServer: string | undefined;
}

export const engineBenchParts = ["throughput", "sampling", "follow-up", "check"] as const;

const usage = `npm run bench:engine -- [options]

Measures this project's engine beside plain node-llama-cpp, and llama-server where it is there: the same file,
one thread each, the same prompts and number of tokens, in turns.
  --quick              fewer and shorter rounds
  --only PART          only this part; may be given again: ${engineBenchParts.join(", ")}
  --model NAME         a model of the catalogue, or a path to a GGUF (default smollm2-135m-instruct)
  --llama-server PATH  llama.cpp's server (default: the one on PATH, if there is one)
  --help               this text`;

/** The bench's command line. Prints the usage and ends the process for `--help`, and for what it doesn't know. */
export function readFlags(): EngineBenchFlags {
  try {
    const { values } = parseArgs({
      options: {
        quick: { type: "boolean", default: false },
        only: { type: "string", multiple: true, default: [] },
        model: { type: "string", default: "smollm2-135m-instruct" },
        "llama-server": { type: "string" },
        help: { type: "boolean", default: false },
      },
    });
    if (values.help) {
      console.log(usage);
      process.exit(0);
    }
    const unknown = values.only.find((part) => !engineBenchParts.some((each) => each === part));
    if (unknown !== undefined) throw new Error(`There is no part '${unknown}'.`);
    const given = values["llama-server"];
    if (given !== undefined && !isExecutable(resolve(given))) throw new Error(`${given} is no program.`);
    const llamaServer = given === undefined ? findOnPath("llama-server") : resolve(given);
    return { isQuick: values.quick, only: values.only, model: values.model, llamaServer };
  } catch (error) {
    console.error(`${error instanceof Error ? error.message : error}\n\n${usage}`);
    process.exit(2);
  }
}

function findOnPath(name: string): string | undefined {
  const folders = (process.env.PATH ?? "").split(delimiter).filter((folder) => folder !== "");
  return folders.map((folder) => join(folder, name)).find(isExecutable);
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch (error) {
    if (error instanceof Error && "code" in error) return false;
    throw error;
  }
}
