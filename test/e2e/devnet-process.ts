import { mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { z } from "zod";
import { connect, type Database } from "../../db/connection.ts";
import { loadState, type Running, readRunning } from "../../devnet/state.ts";
import { type NodeStatus, readNodeStatus } from "../../worker-node/status-file.ts";
import { writeTinyChatModel, writeTinyEmbeddingModel } from "../models/tiny-gguf.ts";
import { Child } from "./child.ts";
import { processesMarked, type RunningProcess } from "./processes.ts";
import { until } from "./wait.ts";

const root = resolve(import.meta.dirname, "../..");
/** The project's own Node, which runs TypeScript; the tests themselves may run on another. */
export const projectNode = join(root, "node_modules/node/bin/node");
export const nodeScript = join(root, "worker-node/bin/cortensor-node.js");
const startWithinMs = 120_000;
const stopWithinMs = 30_000;

const healthSchema = z.object({ models: z.array(z.object({ id: z.string(), live_nodes: z.int() })) });

export interface DevnetOptions {
  /** A temporary folder; everything the devnet keeps is under it. */
  folder: string;
  /** Names, or paths of GGUF files. */
  models: readonly string[];
  nodes?: number;
  slots?: number;
  contextTokens?: number;
  port?: number;
  /** Where model files are kept: the folder's own, so that tiny models leave no trace, or the machine's. */
  cache?: "own" | "shared";
}

/** A fresh folder under the system's temporary one. */
export function newFolder(): string {
  return mkdtempSync(join(tmpdir(), "cortensor-e2e-"));
}

/** Writes the tiny chat model of this seed and returns its path; it is served as `tiny-chat-<seed>`. */
export function tinyChat(folder: string, { seed = 1, contextTokens = 4_096 } = {}): string {
  const path = join(folder, "models", `chat-${seed}.gguf`);
  writeTinyChatModel(path, { seed, contextTokens });
  return path;
}

/** Writes the tiny embedding model and returns its path; it is served as `tiny-embedding-1`. */
export function tinyEmbedding(folder: string): string {
  const path = join(folder, "models", "embedding-1.gguf");
  writeTinyEmbeddingModel(path, { seed: 1 });
  return path;
}

/** One run of the real devnet, in a process of its own as `npm start` runs it, from launch to the last of its processes. */
export class DevnetProcess {
  readonly child: Child;
  readonly stateDir: string;
  readonly #folder: string;
  readonly #env: NodeJS.ProcessEnv;
  readonly #mark: string;
  #running: Running | undefined;

  private constructor(options: DevnetOptions) {
    const { folder, models, nodes = 1, slots = 2, contextTokens = 2_048, port = 0, cache = "own" } = options;
    this.#folder = folder;
    this.stateDir = join(folder, "state");
    // In the environment of every process that comes of it, so that none can hide.
    this.#mark = `CORTENSOR_E2E=${folder}`;
    this.#env = {
      ...process.env,
      CORTENSOR_E2E: folder,
      ...(cache === "own" ? { CORTENSOR_CACHE: join(folder, "cache") } : {}),
    };
    mkdirSync(folder, { recursive: true });
    this.child = new Child(
      projectNode,
      [
        ...["--disable-warning=ExperimentalWarning", "devnet/start.ts", "--state", this.stateDir],
        ...["--port", String(port), "--nodes", String(nodes), "--slots", String(slots)],
        ...["--context", String(contextTokens), ...models.flatMap((model) => ["--model", model])],
      ],
      { cwd: root, env: this.#env },
    );
  }

  /** Starts a devnet and returns at once. */
  static launch(options: DevnetOptions): DevnetProcess {
    return new DevnetProcess(options);
  }

  /** Starts a devnet and returns once every node serves; throws what it said where it ends instead. */
  static async start(options: DevnetOptions): Promise<DevnetProcess> {
    const devnet = DevnetProcess.launch(options);
    try {
      await devnet.ready();
    } catch (error) {
      devnet.killAll();
      throw error;
    }
    return devnet;
  }

  /** Resolves once every node serves; throws what it said where it ends instead. */
  async ready(): Promise<void> {
    this.#running = await until(
      "the devnet is ready",
      () => {
        if (this.child.hasExited) throw new Error(`The devnet ended while starting:\n${this.child.said}`);
        // A crash leaves the file of the run before.
        const running = readRunning(this.stateDir);
        return running?.pid === this.child.pid ? running : undefined;
      },
      { withinMs: startWithinMs, since: () => this.child.said },
    );
  }

  get running(): Running {
    if (this.#running === undefined) throw new Error("The devnet was launched without waiting for it.");
    return this.#running;
  }

  get baseUrl(): string {
    return this.running.baseUrl;
  }

  /** As `http://127.0.0.1:8787`. */
  get origin(): string {
    return new URL(this.baseUrl).origin;
  }

  get apiKey(): string {
    return this.running.apiKey;
  }

  get adminKey(): string {
    return this.running.adminKey;
  }

  /** For commands of the node that are to find this devnet's models, and to be found by {@link processes}. */
  get env(): NodeJS.ProcessEnv {
    return this.#env;
  }

  /** Every process that came of this folder and lives, this run's and earlier ones'. */
  processes(): RunningProcess[] {
    return processesMarked(this.#mark);
  }

  /** The one process of it whose command line contains this text. */
  processOf(text: string): RunningProcess {
    const found = this.processes().filter(({ command }) => command.includes(text));
    const [only] = found;
    if (only === undefined || found.length > 1) throw new Error(`${found.length} processes have '${text}'.`);
    return only;
  }

  /** The record, on a connection of the test's own. */
  database(): Database {
    const log = readFileSync(join(this.running.logs, "postgres.log"), "utf8");
    const port = [...log.matchAll(/"ready":true,"port":(\d+)/g)].at(-1)?.[1];
    if (port === undefined) throw new Error("Postgres has not said where it listens.");
    const { databasePassword } = loadState(this.stateDir);
    return connect({
      databaseUrl: `postgres://cortensor:${databasePassword}@127.0.0.1:${port}/cortensor`,
      fetchEndpoint: `http://127.0.0.1:${port}/sql`,
    });
  }

  /** What the node of this name last wrote of itself. */
  nodeStatus(name: string): NodeStatus {
    const status = readNodeStatus(join(this.stateDir, name));
    if (status === undefined) throw new Error(`${name} has no status yet.`);
    return status;
  }

  /** Whether the router counts this many nodes, or more, that serve a model. Its count may be a second old. */
  async hasLiveNodes(model: string, least: number): Promise<boolean> {
    const { models } = healthSchema.parse(await (await fetch(`${this.origin}/healthz`)).json());
    return models.some(({ id, live_nodes }) => id === model && live_nodes >= least);
  }

  /** Starts a node again that was ended, with its own `command`, and resolves once it serves. */
  async restartNode(name: string): Promise<void> {
    const node = this.running.nodes.find((each) => each.name === name);
    if (node === undefined) throw new Error(`There is no ${name}.`);
    const child = new Child("/bin/sh", ["-c", `exec ${node.command}`], { env: this.#env });
    await until(
      `${name} serves again`,
      () => {
        if (child.hasExited) throw new Error(`${name} ended while starting:\n${child.said}`);
        const status = this.nodeStatus(name);
        const alive = new Set(this.processes().map(({ pid }) => pid));
        const expected = this.running.nodes.filter((each) => alive.has(this.nodeStatus(each.name).pid)).length;
        return (
          status.pid === child.pid &&
          status.state === "active" &&
          // Welcomed is not yet on offer.
          Promise.all(status.models.map((model) => this.hasLiveNodes(model.name, expected))).then((all) =>
            all.every((isLive) => isLive),
          )
        );
      },
      { since: () => child.said },
    );
  }

  /** What Ctrl-C does; resolves with the exit code once the devnet and all that came of it are gone, and throws else. */
  async stop(): Promise<number | null> {
    this.child.process.kill("SIGINT");
    await until("the devnet has ended", () => this.child.hasExited, {
      withinMs: stopWithinMs,
      since: () => this.child.said,
    });
    await this.allGone();
    return (await this.child.exited).code;
  }

  /** Resolves once no process of it is left; throws their names where some stay, and ends them. */
  async allGone(): Promise<void> {
    try {
      await until("no process is left", () => this.processes().length === 0, {
        withinMs: 10_000,
        since: () =>
          this.processes()
            .map(({ pid, command }) => `${pid} ${command}`)
            .join("\n"),
      });
    } finally {
      this.killAll();
    }
  }

  /** Ends what is left of it without a word. */
  killAll(): void {
    for (const { pid } of this.processes()) process.kill(pid, "SIGKILL");
  }

  /** For the end of a test file: stops it if it runs, checks that nothing is left, and removes its folder. */
  async remove(): Promise<void> {
    try {
      if (this.child.hasExited) await this.allGone();
      else await this.stop();
    } finally {
      rmSync(this.#folder, { recursive: true, force: true });
    }
  }
}
