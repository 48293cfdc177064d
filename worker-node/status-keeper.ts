import type { ModelName } from "../core/model/model-card.ts";
import type { TaskKind } from "../core/wire/task-input.ts";
import { SocketLosses } from "./connection/socket-losses.ts";
import { type NodeStatus, statusEveryMs, writeNodeStatus } from "./status-file.ts";
import type { FinishedTask } from "./task-runner.ts";

/** What a node's status begins as. */
export type NodeAtStart = Pick<NodeStatus, "pid" | "nodeId" | "name" | "routerUrl" | "startedAtMs">;

/**
 * Keeps `<home>/status.json` as the node is: at once when its state changes, else with the next beat of the file, so
 * that no answer waits for the disk.
 */
export class StatusKeeper {
  readonly #homeDir: string;
  readonly #work: () => { running: number; tasksResumed: number };
  readonly #losses = new SocketLosses();
  readonly #beat: ReturnType<typeof setInterval>;
  #status: NodeStatus;

  /** Writes the first status: `starting`. `work` is asked at each write. */
  constructor(options: {
    homeDir: string;
    node: NodeAtStart;
    work: () => { running: number; tasksResumed: number };
  }) {
    this.#homeDir = options.homeDir;
    this.#work = options.work;
    this.#status = {
      ...options.node,
      operator: null,
      state: "starting",
      problem: null,
      models: [],
      losses: { lastHour: 0, last: null },
      running: 0,
      tasksDone: 0,
      checksDone: 0,
      tasksFailed: 0,
      tasksResumed: 0,
      tokensOut: 0,
      updatedAtMs: options.node.startedAtMs,
    };
    this.change({});
    this.#beat = setInterval(() => this.change({}), statusEveryMs).unref();
  }

  /** Changes fields and writes them. */
  change(fields: Partial<Pick<NodeStatus, "state" | "operator" | "problem" | "models">>): void {
    const updatedAtMs = Date.now();
    this.#status = { ...this.#status, ...fields, ...this.#work(), losses: this.#losses.told(updatedAtMs), updatedAtMs };
    writeNodeStatus(this.#homeDir, this.#status);
  }

  /** Counts a task that ended. */
  count({ outcome, tokenIds, kind }: Pick<FinishedTask, "outcome" | "tokenIds"> & { kind: TaskKind }): void {
    const { tasksDone, checksDone, tasksFailed, tokensOut } = this.#status;
    const isFailed = outcome === "failed";
    const isCheck = kind === "check";
    this.#status = {
      ...this.#status,
      tasksDone: tasksDone + (isFailed || isCheck ? 0 : 1),
      checksDone: checksDone + (!isFailed && isCheck ? 1 : 0),
      tasksFailed: tasksFailed + (isFailed ? 1 : 0),
      tokensOut: tokensOut + tokenIds.length,
    };
  }

  /** Keeps the router's last word on why a model gets work or none. */
  stand(model: ModelName, standing: { kind: string; text: string }): void {
    const models = this.#status.models.map((each) => (each.name === model ? { ...each, standing } : each));
    this.#status = { ...this.#status, models };
  }

  /** Counts a socket that was welcome and broke. */
  countLoss(reason: string): void {
    this.#losses.add(reason, Date.now());
  }

  /** Writes no more of itself. */
  stop(): void {
    clearInterval(this.#beat);
  }
}
