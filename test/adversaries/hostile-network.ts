import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { type NodeId, nodeIdSchema } from "../../core/ids.ts";
import { RouterAdmin } from "../../devnet/router-admin.ts";
import { Child } from "../e2e/child.ts";
import { DevnetProcess, newFolder, projectNode, tinyChat } from "../e2e/devnet-process.ts";
import { until } from "../e2e/wait.ts";
import type { CheatName } from "./cheats.ts";

const model = "tiny-chat-1";
const readySchema = z.object({ ready: z.literal(true), nodeId: nodeIdSchema });
const nodeSchema = z.object({
  trust: z.object({ suspended: z.boolean(), validates: z.boolean(), reason: z.string(), checks: z.string() }),
});
export type Trust = z.infer<typeof nodeSchema>["trust"];

/** Callers at once, and what each asks for: short answers of a tiny model, so that a test sees many. */
const callers = 8;
const answerTokens = 24;

/**
 * The real network in real processes on loopback: honest nodes, each of an operator of its own, hostile ones likewise,
 * and callers that ask without end.
 */
export class HostileNetwork {
  readonly #devnet: DevnetProcess;
  readonly #nodes: ReadonlyMap<CheatName, { child: Child; nodeId: NodeId }>;
  #isAsking = true;
  #answered = 0;
  readonly #problems: string[] = [];
  #calls: Promise<unknown> = Promise.resolve();

  private constructor(devnet: DevnetProcess, nodes: ReadonlyMap<CheatName, { child: Child; nodeId: NodeId }>) {
    this.#devnet = devnet;
    this.#nodes = nodes;
  }

  /** Resolves once all nodes serve and the first callers have asked. */
  static async start({ honest, cheats }: { honest: number; cheats: readonly CheatName[] }): Promise<HostileNetwork> {
    const folder = newFolder();
    const [served, other] = [tinyChat(folder, { seed: 1 }), tinyChat(folder, { seed: 2 })];
    const devnet = await DevnetProcess.start({ folder, models: [served], nodes: honest, contextTokens: 1_024 });
    try {
      const admin = new RouterAdmin(devnet.origin, devnet.adminKey);
      const nodes = new Map<CheatName, { child: Child; nodeId: NodeId }>();
      for (const cheat of cheats) {
        const home = join(folder, cheat);
        mkdirSync(home, { recursive: true });
        const { token } = await admin.create("invites", { name: cheat });
        const child = new Child(
          projectNode,
          [
            ...["--disable-warning=ExperimentalWarning", join(import.meta.dirname, "hostile-node.ts")],
            ...["--router", devnet.origin, "--token", z.string().parse(token), "--name", cheat, "--home", home],
            ...["--model", served, "--other-model", other, "--cheat", cheat, "--shared", join(folder, "shared.jsonl")],
          ],
          { env: devnet.env, stdio: ["pipe", "pipe", "pipe"] },
        );
        nodes.set(cheat, { child, nodeId: await joined(cheat, child) });
      }
      await until("the router counts every node", () => devnet.hasLiveNodes(model, honest + cheats.length), {
        withinMs: 60_000,
      });
      const network = new HostileNetwork(devnet, nodes);
      network.#calls = Promise.all(Array.from({ length: callers }, (_, caller) => network.#ask(caller)));
      return network;
    } catch (error) {
      devnet.killAll();
      throw error;
    }
  }

  /** What checks have made of a hostile node. */
  async trustOf(cheat: CheatName): Promise<Trust> {
    const node = this.#nodes.get(cheat);
    if (node === undefined) throw new Error(`there is no ${cheat}`);
    return this.#trust(node.nodeId);
  }

  /** The same of every honest one, by name. */
  async honestTrust(): Promise<Map<string, Trust>> {
    const found = new Map<string, Trust>();
    for (const { name } of this.#devnet.running.nodes) {
      found.set(name, await this.#trust(nodeIdSchema.parse(this.#devnet.nodeStatus(name).nodeId)));
    }
    return found;
  }

  /** Resolves with what is known of this node once that is so. */
  async untilFound(cheat: CheatName, isFound: (trust: Trust) => boolean, withinMs: number): Promise<Trust> {
    let latest: Trust | undefined;
    return until(
      `${cheat} is found`,
      async () => {
        latest = await this.trustOf(cheat);
        await new Promise((resolve) => setTimeout(resolve, 500));
        return isFound(latest) && latest;
      },
      {
        withinMs,
        since: () => `${JSON.stringify(latest)}\n${this.#answered} answers, ${this.#problems.slice(-3).join("\n")}`,
      },
    );
  }

  get answered(): number {
    return this.#answered;
  }

  /** Why callers got no answer, each time. */
  get problems(): readonly string[] {
    return this.#problems;
  }

  async stop(): Promise<void> {
    this.#isAsking = false;
    await this.#calls;
    for (const { child } of this.#nodes.values()) {
      child.process.kill("SIGKILL");
      await child.exited;
    }
    await this.#devnet.remove();
  }

  async #ask(caller: number): Promise<void> {
    for (let turn = 0; this.#isAsking; turn += 1) {
      const response = await fetch(`${this.#devnet.baseUrl}/chat/completions`, {
        method: "POST",
        headers: { authorization: `Bearer ${this.#devnet.apiKey}`, "content-type": "application/json" },
        body: JSON.stringify({
          ...{ model, max_tokens: answerTokens, temperature: turn % 3 === 0 ? 0 : 1 },
          messages: [{ role: "user", content: `Question ${turn} of caller ${caller}: what comes next?` }],
        }),
      }).catch((error: unknown) => String(error));
      if (typeof response !== "string" && response.ok) this.#answered += 1;
      else this.#problems.push(typeof response === "string" ? response : `${response.status} ${await response.text()}`);
    }
  }

  async #trust(nodeId: NodeId): Promise<Trust> {
    const response = await fetch(`${this.#devnet.origin}/v1/nodes/${nodeId}`, {
      headers: { authorization: `Bearer ${this.#devnet.adminKey}` },
    });
    return nodeSchema.parse(await response.json()).trust;
  }
}

function joined(cheat: CheatName, child: Child): Promise<NodeId> {
  return until(
    `${cheat} has joined`,
    () => {
      if (child.hasExited) throw new Error(`${cheat} ended:\n${child.said}`);
      const line = child.stdout.split("\n").find((each) => each.startsWith('{"ready"'));
      return line === undefined ? undefined : readySchema.parse(JSON.parse(line)).nodeId;
    },
    { withinMs: 120_000, since: () => child.said },
  );
}
