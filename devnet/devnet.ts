import { spawn } from "node:child_process";
import { mkdirSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import os from "node:os";
import { join, resolve } from "node:path";
import { z } from "zod";
import { findCatalogueModel } from "../core/model/catalogue.ts";
import { connect } from "../db/connection.ts";
import { migrate } from "../db/migrate.ts";
import { isNodeRunning, readNodeStatus } from "../worker-node/status-file.ts";
import type { Flags } from "./flags.ts";
import { DirectoryInUse, lockDirectory } from "./postgres/directory-lock.ts";
import { RouterAdmin } from "./router-admin.ts";
import { Service } from "./service.ts";
import { type DevnetState, isAlive, loadState, type Running, readRunning, saveState, writeRunning } from "./state.ts";

const root = resolve(import.meta.dirname, "..");
const nodeScript = join(root, "worker-node/bin/cortensor-node.js");
/** A node that is told to stop finishes what it runs for at most this long; Ctrl-C should not feel stuck. */
const nodeGraceMs = 3_000;
const serviceGraceMs = 8_000;

/** Why the devnet does not start, as one sentence with the mend. */
export class DevnetProblem extends Error {
  override readonly name = "DevnetProblem";
}

/** The whole network on this machine: its processes, in the order in which they need each other. */
export class Devnet {
  readonly #flags: Flags;
  readonly #say: (step: string, text: string) => void;
  readonly #onBroken: () => void;
  readonly #logs: string;
  readonly #services: Service[] = [];
  readonly #nodes: Service[] = [];
  #unlock: (() => Promise<void>) | undefined;
  #workerdPid: number | undefined;
  #isStopping = false;

  constructor(options: {
    flags: Flags;
    say: (step: string, text: string) => void;
    /** Called when a part that the network cannot do without has ended. */
    onBroken: () => void;
  }) {
    this.#flags = options.flags;
    this.#say = options.say;
    this.#onBroken = options.onBroken;
    this.#logs = join(options.flags.state, "logs");
  }

  /** Starts everything and returns once every node serves. Throws {@link DevnetProblem}; call {@link stop} then too. */
  async start(): Promise<Running> {
    const flags = this.#flags;
    mkdirSync(this.#logs, { recursive: true });
    await this.#lock();
    await refuseTakenPort(flags.port);
    const state = loadState(flags.state);
    saveState(flags.state, state);

    for (const model of flags.model) if (findCatalogueModel(model) !== undefined) await this.#pull(model);
    const database = await this.#startPostgres(state);
    const origin = await this.#startRouter(state, database);
    await introduce(new RouterAdmin(origin, state.adminKey), state, flags.nodes);
    saveState(flags.state, state);
    const nodes = this.#startNodes(state, origin);
    await this.#served(origin);

    const { apiKey, adminKey } = state;
    if (apiKey === null) throw new Error("the devnet has no key");
    const running = { baseUrl: `${origin}/v1`, apiKey, adminKey, pid: process.pid, nodes, logs: this.#logs };
    writeRunning(flags.state, running);
    return running;
  }

  /** Ends every process it started, and nodes that were started again from its state. Safe to call at any moment. */
  async stop(): Promise<void> {
    this.#isStopping = true;
    // Without the lock the file is that of another devnet, which goes on running.
    if (this.#unlock !== undefined) rmSync(join(this.#flags.state, "running.json"), { force: true });
    // Nodes first, so that they can say goodbye; Postgres last, so that the router can still tell it.
    await Promise.all(this.#nodes.map((node) => node.stop({ graceMs: nodeGraceMs })));
    await this.#stopStrayNodes();
    for (const service of this.#services.reverse()) await service.stop({ graceMs: serviceGraceMs });
    // workerd outlives a supervisor that was killed.
    if (this.#workerdPid !== undefined && isAlive(this.#workerdPid)) process.kill(this.#workerdPid, "SIGKILL");

    await this.#unlock?.();
  }

  async #lock(): Promise<void> {
    try {
      this.#unlock = await lockDirectory(this.#flags.state);
    } catch (error) {
      if (!(error instanceof DirectoryInUse)) throw error;
      const other = readRunning(this.#flags.state);
      if (other === undefined) throw new DevnetProblem(error.message);
      throw new DevnetProblem(
        `A devnet already runs from ${this.#flags.state} at ${other.baseUrl}. Use it, or stop it with: kill ${other.pid}`,
      );
    }
  }

  /** Fetches a model with its progress shown here, so that nodes find it in the cache. */
  async #pull(model: string): Promise<void> {
    this.#say("model", model);
    const child = spawn(process.execPath, [nodeScript, "models", "pull", model], {
      stdio: ["ignore", "inherit", "inherit"],
    });
    const interrupt = setInterval(() => this.#isStopping && child.kill("SIGTERM"), 100);
    const code = await new Promise<number | null>((resolve) => child.once("exit", resolve));
    clearInterval(interrupt);
    if (code !== 0) throw new DevnetProblem(`${model} could not be had; the lines above say why.`);
  }

  async #startPostgres(state: DevnetState): Promise<{ databaseUrl: string; fetchEndpoint: string }> {
    this.#say("postgres", "starting");
    const data = join(this.#flags.state, "postgres");
    const service = this.#service("postgres", {
      command: ["devnet/postgres/main.ts", "--data", data, "--password", state.databasePassword],
    });
    const { port } = await readyLine(service);
    const database = {
      databaseUrl: `postgres://cortensor:${state.databasePassword}@127.0.0.1:${port}/cortensor`,
      fetchEndpoint: `http://127.0.0.1:${port}/sql`,
    };
    for (const name of await migrate(connect({ ...database, timeoutMs: 60_000 })))
      this.#say("postgres", `applied ${name}`);
    return database;
  }

  async #startRouter(
    state: DevnetState,
    { databaseUrl, fetchEndpoint }: { databaseUrl: string; fetchEndpoint: string },
  ): Promise<string> {
    this.#say("router", "starting");
    const dir = join(this.#flags.state, "router");
    const service = this.#service("router", {
      command: ["devnet/router/main.ts", "--state", dir, "--port", String(this.#flags.port), "--restart"],
      env: { ADMIN_KEY: state.adminKey, DATABASE_URL: databaseUrl, NEON_FETCH_ENDPOINT: fetchEndpoint },
    });
    // A workerd that ended by itself is started again by its supervisor, which then says so anew.
    onReady(service, ({ pid }) => {
      if (this.#workerdPid !== undefined)
        this.#say("router", `ended by itself and was started again: ${service.logPath}`);
      this.#workerdPid = pid;
    });
    const { port } = await readyLine(service);
    return `http://127.0.0.1:${port}`;
  }

  #startNodes(state: DevnetState, origin: string): Running["nodes"] {
    const { nodes, slots, context, model, state: dir } = this.#flags;
    this.#say("nodes", `starting ${nodes}`);
    // The threads of one engine spin for each other, so the nodes share the cores instead of each taking all.
    const threads = Math.max(1, Math.floor(os.availableParallelism() / nodes));
    return Object.entries(state.nodes)
      .slice(0, nodes)
      .map(([name, { operator, invite }]) => {
        const command = [
          ...[nodeScript, "start", "--router", origin, "--token", invite, "--name", name],
          ...["--home", join(dir, name), "--threads", String(threads), "--slots", String(slots)],
          ...["--context", String(context), "--log-token-ids", ...model.flatMap((each) => ["--model", each])],
        ];
        const service = this.#service(name, { command, isNode: true });
        return { name, operator, pid: service.pid, command: [process.execPath, ...command].map(quoted).join(" ") };
      });
  }

  /**
   * Waits until every node serves every model. The nodes' own word is asked for as well: a router that was killed
   * counts the nodes that it knew then among the living, until it meets them again.
   */
  async #served(origin: string): Promise<void> {
    const { model, nodes } = this.#flags;
    for (;;) {
      const { models } = healthSchema.parse(await (await fetch(`${origin}/healthz`)).json());
      const isServed = models.length >= model.length && models.every((each) => each.live_nodes >= nodes);
      if (isServed && this.#nodes.every((node) => this.#isActive(node))) return;
      const gone = this.#nodes.find((node) => node.hasEnded);
      if (gone !== undefined) throw new DevnetProblem(`${gone.name} did not come up: ${gone.lastWords()}`);
      await new Promise((resolve) => setTimeout(resolve, 150));
    }
  }

  #isActive({ name, pid }: Service): boolean {
    const status = readNodeStatus(join(this.#flags.state, name));
    return status?.pid === pid && status.state === "active";
  }

  #service(
    name: string,
    { command, env, isNode = false }: { command: readonly string[]; env?: Record<string, string>; isNode?: boolean },
  ): Service {
    if (this.#isStopping) throw new DevnetProblem("Stopped while starting.");
    const [script = "", ...rest] = command;
    const service: Service = new Service({
      name,
      command: [resolve(root, script), ...rest, "--exit-with-parent"],
      env,
      logPath: join(this.#logs, `${name}.log`),
      onEnded: (how) => {
        if (this.#isStopping) return;
        this.#say(name, `ended by itself (${how}): ${service.lastWords()}`);
        // A node may come and go; without the others there is no network.
        if (!isNode) this.#onBroken();
      },
    });
    (isNode ? this.#nodes : this.#services).push(service);
    return service;
  }

  /**
   * A node that somebody started again with its `command` from running.json is this devnet's too. It is waited for like
   * the others: the router would wait for its socket much longer.
   */
  async #stopStrayNodes(): Promise<void> {
    const strays = this.#nodes.flatMap(({ name }) => {
      const status = readNodeStatus(join(this.#flags.state, name));
      return status !== undefined && isNodeRunning(status, Date.now()) ? [status.pid] : [];
    });
    for (const pid of strays) process.kill(pid, "SIGTERM");
    const deadlineMs = Date.now() + nodeGraceMs;
    while (strays.some(isAlive) && Date.now() < deadlineMs) await new Promise((resolve) => setTimeout(resolve, 50));
    for (const pid of strays) if (isAlive(pid)) process.kill(pid, "SIGKILL");
  }
}

const healthSchema = z.object({ models: z.array(z.object({ live_nodes: z.int() })) });
const readySchema = z.object({
  ready: z.literal(true),
  port: z.int(),
  /** Of the process that listens, where it is not the service itself. */
  pid: z.int().optional(),
});

/** Calls `tell` each time that a service says where it listens. */
function onReady(service: Service, tell: (ready: z.infer<typeof readySchema>) => void): void {
  service.onLine((line) => {
    if (line.startsWith('{"ready"')) tell(readySchema.parse(JSON.parse(line)));
  });
}

/** Where a service listens, from the first line by which it says so. */
function readyLine(service: Service): Promise<z.infer<typeof readySchema>> {
  return new Promise((resolve, reject) => {
    onReady(service, resolve);
    service.ended.then(() => reject(new DevnetProblem(`${service.name} did not start: ${service.lastWords()}`)));
  });
}

/** Draws a key, and for each node an operator of its own with an invite, where the state has none yet. */
async function introduce(admin: RouterAdmin, state: DevnetState, nodes: number): Promise<void> {
  if (state.apiKey === null) state.apiKey = (await admin.create("keys", { name: "devnet" })).key ?? null;
  for (let number = 1; number <= nodes; number += 1) {
    const name = `node-${number}`;
    if (state.nodes[name] !== undefined) continue;
    const { account, token } = await admin.create("invites", { name });
    if (token === undefined) throw new Error("the router gave an invite without its token");
    state.nodes[name] = { operator: account, invite: token };
  }
}

function refuseTakenPort(port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const probe = createServer();
    probe.once("error", (error) => {
      const isTaken = "code" in error && error.code === "EADDRINUSE";
      const mend = `Stop what uses it, or choose another: npm start -- --port ${port + 1}`;
      reject(new DevnetProblem(isTaken ? `Port ${port} is taken. ${mend}` : `Port ${port}: ${error.message}. ${mend}`));
    });
    probe.listen(port, "127.0.0.1", () => probe.close(() => resolve()));
  });
}

/** One word of a POSIX shell's command line. */
function quoted(word: string): string {
  return /^[\w./:=@-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}
