import { mkdirSync } from "node:fs";
import { setPriority } from "node:os";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { z } from "zod";
import { randomText } from "../../core/ids.ts";
import { connect } from "../../db/connection.ts";
import { migrate } from "../../db/migrate.ts";
import { RouterAdmin } from "../../devnet/router-admin.ts";
import { BenchProcess } from "../bench-process.ts";
import { readReady } from "../ready-line.ts";
import { type MockModel, mockModels } from "./mock-answer.ts";

/** What a mock-node process says. */
const openSchema = z.object({ open: z.int(), atMs: z.number() });
const stoppedSchema = z.object({ stopped: z.string(), atMs: z.number() });
const healthSchema = z.object({ models: z.array(z.object({ id: z.string(), live_nodes: z.int() })) });

const startMs = 60_000;

export interface BenchNetworkOptions {
  /** Where its data and logs go; made where it is not there. */
  folder: string;
  nodes: number;
  slots: number;
  models?: readonly MockModel[];
  /** The Worker's main module, from the project's root, where it is not the product's own. */
  entry?: string;
  /** What serves the router, from the project's root, where it is not the devnet's way; it takes the same flags. */
  routerScript?: string;
  /** Arguments of the Node that runs the mock nodes. */
  nodeFlags?: readonly string[];
}

/**
 * The product's router on workerd with keys, limits and recording, Postgres on disk, and mock nodes, each a process of
 * its own, as on a devnet.
 */
export class BenchNetwork {
  readonly origin: string;
  readonly apiKey: string;
  readonly router: BenchProcess;
  readonly nodes: BenchProcess;
  readonly #postgres: BenchProcess;

  private constructor(parts: {
    origin: string;
    apiKey: string;
    router: BenchProcess;
    nodes: BenchProcess;
    postgres: BenchProcess;
  }) {
    this.origin = parts.origin;
    this.apiKey = parts.apiKey;
    this.router = parts.router;
    this.nodes = parts.nodes;
    this.#postgres = parts.postgres;
  }

  /** Starts everything and resolves once the router counts every node; stops what it started where that fails. */
  static async start(options: BenchNetworkOptions): Promise<BenchNetwork> {
    const { folder, entry, nodeFlags } = options;
    mkdirSync(folder, { recursive: true });
    const started: BenchProcess[] = [];
    const start = (process: ConstructorParameters<typeof BenchProcess>[0]) => {
      const child = new BenchProcess(process);
      started.push(child);
      return child;
    };
    try {
      const password = randomText(24);
      const postgres = start({
        ...{ name: "postgres", script: "devnet/postgres/main.ts", folder },
        flags: ["--data", join(folder, "postgres"), "--password", password, "--port", "0", "--exit-with-parent"],
      });
      const database = await postgres.lineWhere(readReady, { withinMs: startMs });
      // On the network the record is another machine. Here it shares cores with what is measured, and gives way.
      setPriority(postgres.pid, 19);
      const fetchEndpoint = `http://127.0.0.1:${database.port}/sql`;
      const databaseUrl = `postgres://cortensor:${password}@127.0.0.1:${database.port}/cortensor`;
      await migrate(connect({ databaseUrl, fetchEndpoint, timeoutMs: startMs }));

      const adminKey = `admin-${randomText(40)}`;
      const state = join(folder, "router");
      mkdirSync(state, { recursive: true });
      const router = start({
        ...{ name: "router", script: options.routerScript ?? "devnet/router/main.ts", folder },
        flags: [
          ...["--state", state, "--port", "0", "--restart", "--exit-with-parent"],
          ...(entry === undefined ? [] : ["--entry", join(import.meta.dirname, "../..", entry)]),
        ],
        env: { ADMIN_KEY: adminKey, DATABASE_URL: databaseUrl, NEON_FETCH_ENDPOINT: fetchEndpoint },
      });
      const { port } = await router.lineWhere(readReady, { withinMs: startMs });
      const origin = `http://127.0.0.1:${port}`;

      const admin = new RouterAdmin(origin, adminKey);
      const apiKey = z.string().parse((await admin.create("keys", { name: "bench" })).key);
      const invite = z
        .string()
        .parse((await admin.create("invites", { name: "bench", max_nodes: options.nodes })).token);
      const models = options.models ?? mockModels;
      const nodes = start({
        ...{ name: "nodes", script: "bench/router/mock-nodes.ts", folder, env: { INVITE: invite } },
        flags: [
          ...["--router", origin, "--nodes", String(options.nodes), "--slots", String(options.slots)],
          ...models.flatMap((model) => ["--model", model]),
        ],
        ...(nodeFlags === undefined ? {} : { nodeFlags }),
      });
      const network = new BenchNetwork({ origin, apiKey, router, nodes, postgres });
      await network.allOpen({ since: 0 });
      await network.#counted(options.nodes, models);
      return network;
    } catch (error) {
      for (const child of started.toReversed()) await child.stop();
      throw error;
    }
  }

  /** The process that is workerd now, after restarts the newest. */
  get routerPid(): number {
    const pid = this.router.lines.flatMap((line) => readReady(line)?.pid ?? []).at(-1);
    if (pid === undefined) throw new Error("the router has not said which process it is");
    return pid;
  }

  /** By which a client of it is known. */
  get headers(): Record<string, string> {
    return { authorization: `Bearer ${this.apiKey}` };
  }

  /** When every mock node was welcome, told in a line past the first `since` lines; milliseconds since the epoch. */
  async allOpen({ since }: { since: number }): Promise<number> {
    const read = (line: string) => {
      const opened = openSchema.safeParse(JSON.parse(line));
      return opened.success ? opened.data.atMs : undefined;
    };
    return await this.nodes.lineWhere(read, { from: since, withinMs: startMs });
  }

  /** When the run of this prompt was stopped on its node, milliseconds since the epoch. Throws where it never was. */
  async stoppedAt(prompt: string, { withinMs }: { withinMs: number }): Promise<number> {
    const read = (line: string) => {
      const stopped = stoppedSchema.safeParse(JSON.parse(line));
      return stopped.success && stopped.data.stopped === prompt ? stopped.data.atMs : undefined;
    };
    return await this.nodes.lineWhere(read, { withinMs });
  }

  /** Ends every process, nodes first. */
  async stop(): Promise<void> {
    await this.nodes.stop();
    await this.router.stop();
    await this.#postgres.stop();
  }

  async #counted(nodes: number, models: readonly MockModel[]): Promise<void> {
    const deadlineMs = Date.now() + startMs;
    for (;;) {
      const health = healthSchema.parse(await (await fetch(`${this.origin}/healthz`)).json());
      const counts = models.map((model) => health.models.find(({ id }) => id === model)?.live_nodes ?? 0);
      if (counts.every((count) => count >= nodes)) return;
      if (Date.now() > deadlineMs) throw new Error(`the router counts ${counts.join(", ")} of ${nodes} nodes`);
      await setTimeout(100);
    }
  }
}
