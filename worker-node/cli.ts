import os from "node:os";
import { Command, InvalidArgumentError, Option } from "commander";
import { limits } from "../core/limits.ts";
import { doctor } from "./commands/doctor.ts";
import { receiptReplay } from "./commands/receipt-replay.ts";
import { start } from "./commands/start.ts";
import { status } from "./commands/status.ts";
import { UpstreamError, UpstreamRefusedError } from "./engine/openai/upstream-error.ts";
import { BrokenHomeError } from "./home.ts";
import type { UpstreamAddress } from "./load-upstream-engines.ts";
import { defaultCacheDir } from "./models/cache-dir.ts";
import { ModelError } from "./models/model-error.ts";
import { addModel, listModels, pullModel, verifyModels } from "./models/models-command.ts";
import { software } from "./software.ts";

const out = (line: string) => console.log(line);
const terminal = process.stderr.isTTY ? process.stderr : undefined;

/** The command line `cortensor-node`. Resolves with the exit code. */
export async function main(argv: readonly string[]): Promise<number> {
  let exitCode = 0;
  const program = new Command("cortensor-node")
    .description("Serves AI models to a cortensor-edge network: dials out, pulls tasks, answers them.")
    .version(software)
    .showHelpAfterError();

  program
    .command("doctor")
    .description("say what this machine can run, and what is wrong")
    .option("--router <url>", "also check that this router can be reached", httpUrl)
    .option("--gpu <mode>", "auto, or off for the CPU alone", gpuMode, "auto")
    .option("--cache <dir>", "where model files are kept", defaultCacheDir())
    .action(async (flags: { router?: URL; gpu: "auto" | false; cache: string }) => {
      exitCode = await doctor({ routerUrl: flags.router, gpu: flags.gpu, cacheDir: flags.cache, out });
    });

  const models = program.command("models").description("the model files of this machine");
  const cacheFlag = ["--cache <dir>", "where model files are kept", defaultCacheDir()] as const;
  models
    .command("list")
    .description("models of the catalogue, and those added here")
    .option(...cacheFlag)
    .action(async ({ cache }: { cache: string }) => {
      await listModels({ cacheDir: cache, out });
    });
  models
    .command("pull <name...>")
    .description("fetch models of the catalogue and check their hashes")
    .option(...cacheFlag)
    .action(async (names: string[], { cache }: { cache: string }) => {
      const signal = interruption();
      for (const name of names) await pullModel({ name, cacheDir: cache, out, terminal, signal });
    });
  models
    .command("verify")
    .description("read the files again and compare their hashes")
    .option(...cacheFlag)
    .action(async ({ cache }: { cache: string }) => {
      const isSound = await verifyModels({ cacheDir: cache, out, terminal });
      exitCode = isSound ? 0 : 1;
    });
  models
    .command("add <file>")
    .description("serve a GGUF file of your own")
    .option("--name <name>", "what consumers ask for, instead of the name in the file")
    .option(...cacheFlag)
    .action(async (file: string, { name, cache }: { name?: string; cache: string }) => {
      await addModel({ file, name, cacheDir: cache, out });
    });

  program
    .command("start")
    .description("join a router and serve")
    .requiredOption("--router <url>", "the router, as https://router.example", httpUrl)
    // By its environment variable, not as a default: the help prints defaults, and this one is a secret.
    .addOption(
      new Option("--token <invite>", "invite inv-… from the router's admin; needed once").env("CORTENSOR_TOKEN"),
    )
    .option("--model <name...>", "models to serve, by name or as a path to a GGUF; all that are held unless given")
    .option("--name <name>", "what to call this box", boxName, os.hostname())
    .option("--slots <n>", "tasks at once, per model", wholeNumber({ most: limits.slotsPerModel }), 4)
    .option("--context <tokens>", "longest prompt plus answer", wholeNumber({ most: 10_000_000 }), 8_192)
    .addOption(
      new Option("--engine <engine>", "llama runs model files itself; openai uses a server that runs them already")
        .choices(["llama", "openai"])
        .default("llama"),
    )
    .option("--upstream <url>", "for openai: that server (llama-server or vLLM), as http://127.0.0.1:8080/v1", httpUrl)
    .addOption(new Option("--upstream-key <key>", "its API key, if it wants one").env("CORTENSOR_UPSTREAM_KEY"))
    .option("--model-file <file>", "the file that it has loaded, whose hash says which model it is")
    .option("--threads <n>", "CPU threads; from the free cores unless given", wholeNumber({ most: 1_024 }))
    .option("--gpu <mode>", "auto, or off for the CPU alone", gpuMode, "auto")
    .option("--no-reading-copy", "keep no faster copy of a model for checks: less memory, slower checks on a CPU")
    .option("--home <dir>", "this node's own folder: key, status, logs (default: $CORTENSOR_HOME, or ~/.cortensor)")
    .option(...cacheFlag)
    .option("--log-token-ids", "keep every answer's token ids in outputs.jsonl of the home", false)
    .option("--exit-with-parent", "end when standard input closes", false)
    .action(async (flags: StartFlags, command: Command) => {
      exitCode = await start({
        routerUrl: flags.router,
        invite: flags.token,
        name: flags.name.slice(0, 100) || "unnamed",
        models: flags.model ?? [],
        upstream: upstreamOf(flags, command),
        slots: flags.slots,
        contextTokens: flags.context,
        threads: flags.threads,
        gpu: flags.gpu,
        hasReadingCopy: flags.readingCopy,
        homeDir: flags.home,
        cacheDir: flags.cache,
        logTokenIds: flags.logTokenIds,
        exitWithParent: flags.exitWithParent,
        out,
      });
    });

  program
    .command("status")
    .description("how the node of this machine fares")
    .option("--home <dir>", "the node's folder (default: $CORTENSOR_HOME, or ~/.cortensor)")
    .action(({ home }: { home?: string }) => {
      exitCode = status({ homeDir: home, out });
    });

  const receipt = program.command("receipt").description("answers that were given to you");
  receipt
    .command("replay <file>")
    .description(
      "read a saved answer again on this machine and mark each token as plausible or not; " +
        "exit code 0 plausible, 1 implausible, 2 cannot be checked",
    )
    .option("--model <file>", "the model's GGUF file; found among the models held here unless given")
    .option("--context <tokens>", "longest prompt plus answer of the node", wholeNumber({ most: 10_000_000 }))
    .option("--threads <n>", "CPU threads; from the free cores unless given", wholeNumber({ most: 1_024 }))
    .option("--gpu <mode>", "auto, or off for the CPU alone", gpuMode, "auto")
    .option("--json", "print JSON, for programs", false)
    .option(...cacheFlag)
    .action(async (file: string, flags: ReplayFlags) => {
      // Whatever goes wrong, it is not the answer's fault.
      exitCode = 2;
      exitCode = await receiptReplay({
        ...{ file, model: flags.model, contextTokens: flags.context, threads: flags.threads, gpu: flags.gpu },
        ...{ isJson: flags.json, hasColours: hasColours(), cacheDir: flags.cache, out },
      });
    });

  try {
    await program.parseAsync(argv);
    return exitCode;
  } catch (error) {
    // A named error says by itself what to do; anything else is a bug and is shown whole.
    const named = [ModelError, BrokenHomeError, UpstreamRefusedError, UpstreamError];
    const isNamed = error instanceof Error && named.some((kind) => error instanceof kind);
    console.error(isNamed ? error.message : error);
    return exitCode === 0 ? 1 : exitCode;
  }
}

interface StartFlags {
  router: URL;
  token?: string;
  model?: string[];
  engine: "llama" | "openai";
  upstream?: URL;
  upstreamKey?: string;
  modelFile?: string;
  name: string;
  slots: number;
  context: number;
  threads?: number;
  gpu: "auto" | false;
  readingCopy: boolean;
  home?: string;
  cache: string;
  logTokenIds: boolean;
  exitWithParent: boolean;
}

interface ReplayFlags {
  model?: string;
  context?: number;
  threads?: number;
  gpu: "auto" | false;
  json: boolean;
  cache: string;
}

/** On a terminal whose owner has not asked for none (no-color.org). */
function hasColours(): boolean {
  return process.stdout.isTTY && !process.env.NO_COLOR;
}

/** The server that the flags name; they must go together. Ends the process with a sentence where they do not. */
function upstreamOf(flags: StartFlags, command: Command): UpstreamAddress | undefined {
  const { engine, upstream: url, upstreamKey: key, modelFile } = flags;
  if (engine === "openai") {
    if (url === undefined) command.error("error: --engine openai needs --upstream <url>");
    return { url, key, modelFile };
  }
  if (url !== undefined || modelFile !== undefined) {
    command.error("error: --upstream and --model-file are for --engine openai");
  }
  return undefined;
}

/** Aborts on Ctrl-C, so that a half-done pull cleans up after itself; what it has fetched is resumed next time. */
function interruption(): AbortSignal {
  const controller = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    process.once(signal, () =>
      controller.abort(new ModelError("cancelled", "Stopped; pull again to go on from here.")),
    );
  }
  return controller.signal;
}

function httpUrl(text: string): URL {
  const url = URL.parse(text);
  if (url?.protocol === "http:" || url?.protocol === "https:") return url;
  throw new InvalidArgumentError("Give it as https://router.example");
}

function boxName(text: string): string {
  if (text.trim() !== "" && text.length <= 100) return text;
  throw new InvalidArgumentError("Use 1 to 100 characters.");
}

function gpuMode(text: string): "auto" | false {
  if (text === "auto") return "auto";
  if (text === "off") return false;
  throw new InvalidArgumentError("Use auto or off.");
}

function wholeNumber({ most }: { most: number }): (text: string) => number {
  return (text) => {
    const number = Number(text);
    if (Number.isInteger(number) && number >= 1 && number <= most) return number;
    throw new InvalidArgumentError(`Use a whole number from 1 to ${most}.`);
  };
}
