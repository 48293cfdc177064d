import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { attemptIdSchema, type NodeId, nodeIdSchema, type TaskId, taskIdSchema } from "../../core/ids.ts";
import { readNodeStatus } from "../../worker-node/status-file.ts";
import { Child } from "../e2e/child.ts";
import { nodeScript, projectNode } from "../e2e/devnet-process.ts";
import { until } from "../e2e/wait.ts";
import { NodeWire } from "./node-wire.ts";
import { TcpProxy } from "./tcp-proxy.ts";

/** A line of the node's own log of what it put out (`--log-token-ids`). */
const outputSchema = z.object({
  taskId: taskIdSchema,
  attemptId: attemptIdSchema,
  outcome: z.enum(["stop", "length", "cancelled", "failed"]),
  promptTokens: z.int(),
  tokenIds: z.array(z.int()),
});
export type NodeOutput = z.infer<typeof outputSchema>;

export interface ChaosNodeOptions {
  name: string;
  /** The node's own folder. */
  home: string;
  routerPort: () => number;
  invite: string;
  model: string;
  slots: number;
  contextTokens: number;
  env: NodeJS.ProcessEnv;
}

/** A real node in its own process, behind a proxy of its own, with a witness on its wire. */
export class ChaosNode {
  readonly name: string;
  readonly proxy: TcpProxy;
  readonly wire: NodeWire;
  readonly #options: ChaosNodeOptions;
  #child: Child;

  private constructor(options: ChaosNodeOptions, proxy: TcpProxy, wire: NodeWire) {
    this.name = options.name;
    this.#options = options;
    this.proxy = proxy;
    this.wire = wire;
    this.#child = this.#spawn();
  }

  /** Starts it and returns at once. */
  static async launch(options: ChaosNodeOptions): Promise<ChaosNode> {
    const wire = new NodeWire();
    const proxy = await TcpProxy.listen({
      targetPort: options.routerPort,
      onBytes: (passage) => wire.pass(passage),
      onClosed: (connection) => wire.closed(connection),
    });
    return new ChaosNode(options, proxy, wire);
  }

  get pid(): number {
    return this.#child.pid;
  }

  get nodeId(): NodeId {
    return nodeIdSchema.parse(readNodeStatus(this.#options.home)?.nodeId);
  }

  /** All that its present process has said. */
  get said(): string {
    return this.#child.said;
  }

  /** Resolves once the router has been offered its slots. */
  async serving(): Promise<void> {
    await until(
      `${this.name} serves`,
      () => {
        if (this.#child.hasExited) throw new Error(`${this.name} ended:\n${this.said}`);
        return this.wire.isServing;
      },
      { withinMs: 60_000, since: () => this.said },
    );
  }

  /** SIGKILL; resolves once the process is gone. */
  async kill(): Promise<void> {
    this.#child.process.kill("SIGKILL");
    await this.#child.exited;
    this.wire.isServing = false;
  }

  /** Starts it again after {@link kill}, from the same folder, unless somebody has; resolves once it serves. */
  async restart(): Promise<void> {
    if (this.#child.hasExited) this.#child = this.#spawn();
    await this.serving();
  }

  /** SIGSTOP: it does nothing any more, while the system keeps its sockets. */
  pause(): void {
    this.#child.process.kill("SIGSTOP");
  }

  /** SIGCONT. */
  unpause(): void {
    this.#child.process.kill("SIGCONT");
  }

  /** What it has logged of the tasks that ended on it. */
  outputs(): NodeOutput[] {
    const path = join(this.#options.home, "outputs.jsonl");
    if (!existsSync(path)) return [];
    // A line that is still being written has no end yet.
    const lines = readFileSync(path, "utf8").split("\n").slice(0, -1);
    return lines.map((line) => outputSchema.parse(JSON.parse(line)));
  }

  /** Resolves with its log's line of this task, and when it was seen, once it is there. */
  async loggedEnd(taskId: TaskId, withinMs: number): Promise<{ output: NodeOutput; atMs: number }> {
    return until(
      `${this.name} has ended ${taskId}`,
      () => {
        const output = this.outputs().find((each) => each.taskId === taskId);
        return output === undefined ? undefined : { output, atMs: Date.now() };
      },
      { withinMs, since: () => this.said },
    );
  }

  #spawn(): Child {
    const { name, home, invite, model, slots, contextTokens, env } = this.#options;
    return new Child(
      projectNode,
      [
        ...["--disable-warning=ExperimentalWarning", nodeScript, "start"],
        ...["--router", `http://127.0.0.1:${this.proxy.port}`, "--token", invite, "--name", name, "--home", home],
        ...["--model", model, "--slots", String(slots), "--context", String(contextTokens)],
        // One thread each: nodes that share a machine must not wait for each other's.
        ...["--threads", "1", "--gpu", "off", "--log-token-ids", "--exit-with-parent"],
      ],
      { env, stdio: ["pipe", "pipe", "pipe"] },
    );
  }
}
