import { spawn } from "node:child_process";
import { createRequire } from "node:module";
import { delimiter, dirname } from "node:path";

/** How one run of forge ended. `stdout` and `stderr` are empty where they went to the terminal. */
export interface ForgeRun {
  exitCode: number;
  stdout: string;
  stderr: string;
}

/**
 * Runs forge in this folder and waits for its end; a non-zero exit is an answer, not a throw.
 *
 * Starts the platform's binary itself: the launcher that npm's package puts on PATH exits with 0 whatever forge said
 * (@foundry-rs/forge 1.7.1), so that failing tests would pass. Throws where there is no forge for this platform.
 */
export async function runForge(
  forgeArguments: readonly string[],
  { output }: { output: "captured" | "terminal" },
): Promise<ForgeRun> {
  const stream = output === "captured" ? "pipe" : "inherit";
  const child = spawn(forgeBinary(), [...forgeArguments, "--offline"], {
    cwd: import.meta.dirname,
    // forge starts solc/solc.mjs by its first line, which asks PATH for Node: it gets the one that runs this.
    env: { ...process.env, PATH: [dirname(process.execPath), process.env.PATH].join(delimiter) },
    stdio: ["ignore", stream, stream],
  });
  const [exitCode, stdout, stderr] = await Promise.all([
    new Promise<number>((resolve, reject) => {
      child.on("error", reject);
      child.on("close", (code) => resolve(code ?? 1));
    }),
    textOf(child.stdout),
    textOf(child.stderr),
  ]);
  return { exitCode, stdout, stderr };
}

function forgeBinary(): string {
  const architecture = process.arch === "x64" ? "amd64" : process.arch;
  const binary = process.platform === "win32" ? "forge.exe" : "forge";
  const name = `@foundry-rs/forge-${process.platform}-${architecture}`;
  const launcher = createRequire(import.meta.url).resolve("@foundry-rs/forge/package.json");
  try {
    return createRequire(launcher).resolve(`${name}/bin/${binary}`);
  } catch (cause) {
    throw new Error(`forge is not installed for this machine: ${name} is missing. Run npm install.`, { cause });
  }
}

async function textOf(stream: NodeJS.ReadableStream | null): Promise<string> {
  let text = "";
  if (stream === null) return text;
  stream.setEncoding("utf8");
  for await (const chunk of stream) text += chunk;
  return text;
}
