import { parseArgs } from "node:util";

/** What every bench is told. */
export interface BenchFlags {
  /** Short rounds: to see that all works, and roughly where it stands. */
  isQuick: boolean;
  /** Names of the parts to run; all where it is empty. */
  only: readonly string[];
}

/**
 * The flags of a bench's command line. Prints the usage and ends the process for `--help`, and for what it does not
 * know.
 */
export function readFlags({ command, parts }: { command: string; parts: readonly string[] }): BenchFlags {
  const usage = `npm run ${command} -- [options]
  --quick       short rounds
  --only PART   only this part; may be given again: ${parts.join(", ")}
  --help        this text`;
  try {
    const { values } = parseArgs({
      options: {
        quick: { type: "boolean", default: false },
        only: { type: "string", multiple: true, default: [] },
        help: { type: "boolean", default: false },
      },
    });
    const unknown = values.only.find((part) => !parts.includes(part));
    if (unknown !== undefined) throw new Error(`There is no part '${unknown}'.`);
    if (!values.help) return { isQuick: values.quick, only: values.only };
    console.log(usage);
    process.exit(0);
  } catch (error) {
    console.error(`${error instanceof Error ? error.message : error}\n\n${usage}`);
    process.exit(2);
  }
}
