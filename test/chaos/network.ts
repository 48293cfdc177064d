import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import OpenAI from "openai";
import { z } from "zod";
import { type AccountId, accountIdSchema, randomText, type TaskId } from "../../core/ids.ts";
import { connect, type Database } from "../../db/connection.ts";
import { migrate } from "../../db/migrate.ts";
import { RouterAdmin } from "../../devnet/router-admin.ts";
import { isAlive } from "../../devnet/state.ts";
import { defaultCacheDir } from "../../worker-node/models/cache-dir.ts";
import { resolveModel } from "../../worker-node/models/store.ts";
import { Child } from "../e2e/child.ts";
import { projectNode } from "../e2e/devnet-process.ts";
import { processesMarked } from "../e2e/processes.ts";
import { until } from "../e2e/wait.ts";
import { ChaosNode } from "./chaos-node.ts";
import type { WireAttempt } from "./node-wire.ts";
import { type AccountRecord, hasEnded, recordOf } from "./record-of.ts";
import { StreamReader } from "./stream-reader.ts";
import { TcpProxy } from "./tcp-proxy.ts";
import { readTokenText } from "./token-text.ts";

/**
 * A real model, slow enough on one thread to be hit in the midst of an answer, and at temperature 0 always of one mind.
 * A path may stand here too.
 */
export const model = "smollm2-135m-instruct";

const root = resolve(import.meta.dirname, "../..");
const readySchema = z.object({ ready: z.literal(true), port: z.int(), pid: z.int().optional() });
const healthSchema = z.object({ models: z.array(z.object({ id: z.string(), live_nodes: z.int() })) });

/** An account of its own, with a key and a client, so that what it did is told apart in the record. */
export interface Consumer {
  accountId: AccountId;
  client: OpenAI;
  /** Begins a stream of the network's model. */
  stream(order: { prompt: string; maxTokens: number }): StreamReader;
}

export interface ChaosNetworkOptions {
  nodes: number;
  slots?: number;
  contextTokens?: number;
}

/** The whole network in real processes on loopback, with a proxy at each joint and a hand on each process. */
export class ChaosNetwork {
  readonly nodes: ChaosNode[] = [];
  /** Between clients and router. */
  readonly clientProxy: TcpProxy;
  /** Between router and Postgres. */
  readonly databaseProxy: TcpProxy;
  /** Text of the model's token ids. */
  readonly textOf: (ids: readonly number[]) => string;
  readonly #folder: string;
  readonly #env: NodeJS.ProcessEnv;
  /** Where router and Postgres really listen; the same after a restart. */
  readonly #ports: { router: number; postgres: number };
  readonly #adminKey = `admin-${randomText(40)}`;
  readonly #databasePassword = randomText(24);
  #postgres: Child | undefined;
  #router: Child | undefined;

  private constructor(parts: {
    folder: string;
    ports: { router: number; postgres: number };
    clientProxy: TcpProxy;
    databaseProxy: TcpProxy;
    textOf: (ids: readonly number[]) => string;
  }) {
    this.#folder = parts.folder;
    this.#ports = parts.ports;
    this.clientProxy = parts.clientProxy;
    this.databaseProxy = parts.databaseProxy;
    this.textOf = parts.textOf;
    // In the environment of every process that comes of it, so that none can hide from {@link stop}.
    this.#env = { ...process.env, CORTENSOR_CHAOS: parts.folder };
  }

  /** Starts everything and resolves once every node serves. */
  static async start({ nodes, slots = 2, contextTokens = 2_048 }: ChaosNetworkOptions): Promise<ChaosNetwork> {
    const ports = { router: 0, postgres: 0 };
    const { path } = await resolveModel(model, { cacheDir: defaultCacheDir() });
    const network = new ChaosNetwork({
      folder: mkdtempSync(join(tmpdir(), "cortensor-chaos-")),
      ports,
      clientProxy: await TcpProxy.listen({ targetPort: () => ports.router }),
      databaseProxy: await TcpProxy.listen({ targetPort: () => ports.postgres }),
      textOf: await readTokenText(path),
    });
    try {
      await Promise.all([network.#startRecord(), network.#startRouter()]);
      for (let number = 1; number <= nodes; number += 1) {
        const name = `node-${number}`;
        const { token } = await network.#admin().create("invites", { name });
        network.nodes.push(
          await ChaosNode.launch({
            ...{ name, home: join(network.#folder, name), invite: z.string().parse(token) },
            ...{ model, slots, contextTokens, env: network.#env, routerPort: () => ports.router },
          }),
        );
      }
      for (const node of network.nodes) await node.serving();
      await until("the router counts every node", async () => (await network.liveNodes()) >= nodes);
      return network;
    } catch (error) {
      await network.stop();
      throw error;
    }
  }

  /** An account of its own with one key, whose client dials the router, or {@link clientProxy} where that is asked. */
  async newConsumer(name: string, { isThroughProxy = false } = {}): Promise<Consumer> {
    const { account, key } = await this.#admin().create("keys", { name });
    const client = new OpenAI({
      baseURL: `${isThroughProxy ? `http://127.0.0.1:${this.clientProxy.port}` : this.#origin}/v1`,
      apiKey: z.string().parse(key),
      maxRetries: 0,
      timeout: 300_000,
    });
    return {
      accountId: accountIdSchema.parse(account),
      client,
      stream: (order) => new StreamReader(client, { model, ...order }),
    };
  }

  /** Every go at this task on any node, in the order in which the nodes were handed them. */
  attemptsOf(taskId: TaskId): WireAttempt[] {
    const all = this.nodes.flatMap((node) => node.wire.attemptsOf(taskId));
    return all.toSorted((one, other) => one.handedAtMs - other.handedAtMs);
  }

  /** The node that was handed this task last. */
  nodeOf(taskId: TaskId): ChaosNode {
    const last = this.attemptsOf(taskId).at(-1);
    const node = this.nodes.find((each) => last !== undefined && each.wire.attempts.get(last.attemptId) === last);
    if (node === undefined) throw new Error(`No node was handed ${taskId}.`);
    return node;
  }

  /** Resets one object from inside, as a deployment does: its memory goes, its storage stays. */
  async abortObject(object: "NODE" | "POOL" | "ACCOUNT" | "STATUS", name: string): Promise<void> {
    const query = new URLSearchParams({ object, name });
    const response = await fetch(`${this.#origin}/chaos/abort?${query}`, { method: "POST" });
    const said = await response.text();
    if (!response.ok) throw new Error(`${object} ${name} was not reset: ${said}`);
  }

  /** The event trace of an object's core, as the admin exports it. */
  async traceOf(object: "node" | "pool", name: string): Promise<string> {
    const query = new URLSearchParams({ object, name });
    const response = await fetch(`${this.#origin}/v1/admin/trace?${query}`, {
      headers: { authorization: `Bearer ${this.#adminKey}` },
    });
    const said = await response.text();
    if (!response.ok) throw new Error(`There is no trace of ${object} ${name}: ${said}`);
    return said;
  }

  /** SIGKILLs workerd, and resolves once another listens in its place. */
  async killWorkerd(): Promise<void> {
    const before = this.#routerLines();
    process.kill(z.int().parse(before.at(-1)?.pid), "SIGKILL");
    await until("workerd is started again", () => this.#routerLines().length > before.length, {
      since: () => this.lastWords(),
    });
  }

  /** SIGKILLs Postgres. */
  async stopPostgres(): Promise<void> {
    this.#postgres?.process.kill("SIGKILL");
    await this.#postgres?.exited;
  }

  /** Starts Postgres, on the data and the port that it had before, and resolves once it listens. */
  async startPostgres(): Promise<void> {
    const child = this.#spawn("devnet/postgres/main.ts", [
      ...["--data", join(this.#folder, "postgres"), "--password", this.#databasePassword],
      ...["--port", String(this.#ports.postgres)],
    ]);
    this.#postgres = child;
    await until("Postgres listens", () => readyLines(child).length > 0 || failed(child, "Postgres"), {
      withinMs: 60_000,
    });
    this.#ports.postgres = z.int().parse(readyLines(child)[0]?.port);
  }

  /** The record, on a connection past the proxy. */
  database(timeoutMs = 5_000): Database {
    return connect({ ...databaseAt(this.#ports.postgres, this.#databasePassword), timeoutMs });
  }

  /** The record of an account once so many of its tasks have ended in it. */
  async recordOf({ accountId }: Consumer, tasks: number, withinMs = 30_000): Promise<AccountRecord> {
    const database = this.database();
    let latest: AccountRecord | undefined;
    return until(
      `the end of ${tasks} tasks is in the record`,
      async () => {
        latest = await recordOf(database, accountId);
        return hasEnded(latest, tasks) && latest;
      },
      { withinMs, since: () => `${JSON.stringify(latest)}\n${this.lastWords()}` },
    );
  }

  /** Nodes that the router counts as serving the model; its count may be seconds old. */
  async liveNodes(): Promise<number> {
    const { models } = healthSchema.parse(await (await fetch(`${this.#origin}/healthz`)).json());
    return models.find(({ id }) => id === model)?.live_nodes ?? 0;
  }

  /** The end of what each process said, for a failure's message. */
  lastWords(): string {
    const processes = [
      { name: "postgres", said: this.#postgres?.said ?? "" },
      { name: "router", said: this.#router?.said ?? "" },
      ...this.nodes,
    ];
    return processes
      .map(({ name, said }) => `── ${name}\n${said.trimEnd().split("\n").slice(-15).join("\n")}`)
      .join("\n");
  }

  /** What no frame on any node's wire may be; empty where all is well. */
  get wireProblems(): string[] {
    return this.nodes.flatMap(({ name, wire }) => wire.problems.map((problem) => `${name}: ${problem}`));
  }

  /** Ends every process that came of it, whoever's child it is now, and removes its folder. */
  async stop(): Promise<void> {
    const processes = () => processesMarked(`CORTENSOR_CHAOS=${this.#folder}`);
    // A supervisor would start what is ended before it; so all are ended until none is left.
    await until("no process is left", () => {
      for (const { pid } of processes()) if (isAlive(pid)) process.kill(pid, "SIGKILL");
      return processes().length === 0;
    });
    for (const proxy of [this.clientProxy, this.databaseProxy, ...this.nodes.map((node) => node.proxy)]) {
      await proxy.close();
    }
    rmSync(this.#folder, { recursive: true, force: true });
  }

  get #origin(): string {
    return `http://127.0.0.1:${this.#ports.router}`;
  }

  #admin(): RouterAdmin {
    return new RouterAdmin(this.#origin, this.#adminKey);
  }

  async #startRecord(): Promise<void> {
    await this.startPostgres();
    await migrate(this.database(60_000));
  }

  async #startRouter(): Promise<void> {
    const { databaseUrl, fetchEndpoint } = databaseAt(this.databaseProxy.port, this.#databasePassword);
    const state = join(this.#folder, "router");
    mkdirSync(state);
    const child = this.#spawn(
      "devnet/router/main.ts",
      ["--state", state, "--port", "0", "--entry", join(import.meta.dirname, "worker.ts"), "--restart"],
      { ADMIN_KEY: this.#adminKey, DATABASE_URL: databaseUrl, NEON_FETCH_ENDPOINT: fetchEndpoint },
    );
    this.#router = child;
    await until("the router listens", () => readyLines(child).length > 0 || failed(child, "The router"));
    this.#ports.router = z.int().parse(readyLines(child)[0]?.port);
  }

  #routerLines(): z.infer<typeof readySchema>[] {
    return this.#router === undefined ? [] : readyLines(this.#router);
  }

  #spawn(script: string, flags: readonly string[], env: NodeJS.ProcessEnv = {}): Child {
    return new Child(
      projectNode,
      ["--disable-warning=ExperimentalWarning", join(root, script), ...flags, "--exit-with-parent"],
      { env: { ...this.#env, ...env }, stdio: ["pipe", "pipe", "pipe"] },
    );
  }
}

function databaseAt(port: number, password: string): { databaseUrl: string; fetchEndpoint: string } {
  return {
    databaseUrl: `postgres://cortensor:${password}@127.0.0.1:${port}/cortensor`,
    fetchEndpoint: `http://127.0.0.1:${port}/sql`,
  };
}

/** What a service has said of where it listens, each time that it did. */
function readyLines(child: Child): z.infer<typeof readySchema>[] {
  const lines = child.stdout.split("\n").slice(0, -1);
  return lines.filter((line) => line.startsWith('{"ready"')).map((line) => readySchema.parse(JSON.parse(line)));
}

/** False while the process lives; throws what it said where it does not. */
function failed(child: Child, what: string): false {
  if (child.hasExited) throw new Error(`${what} ended:\n${child.said}`);
  return false;
}
