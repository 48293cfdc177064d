import { mkdirSync } from "node:fs";
import { nodeIdOf } from "../../core/identity/node-key.ts";
import { ConnectionRefused, RouterConnection } from "../connection/router-connection.ts";
import { defaultHomeDir, loadNodeKey } from "../home.ts";
import { software } from "../software.ts";
import { isNodeRunning, readNodeStatus } from "../status-file.ts";
import { StatusKeeper } from "../status-keeper.ts";
import { OutputLog, taskLine } from "../task-log.ts";
import { TaskRunner } from "../task-runner.ts";
import { loadModels, type ModelOptions } from "./load-models.ts";

export interface StartOptions extends ModelOptions {
  routerUrl: URL;
  invite: string | undefined;
  name: string;
  homeDir: string | undefined;
  logTokenIds: boolean;
  /** End when standard input closes: whoever started this node is gone. */
  exitWithParent: boolean;
}

/**
 * Runs the node until it is told to stop (SIGTERM or SIGINT: it drains; a second time: it ends at once). Returns the
 * exit code: 0 when it drained, 1 where something keeps it from work, which has been said.
 */
export async function start(options: StartOptions): Promise<number> {
  const { out } = options;
  const homeDir = options.homeDir ?? defaultHomeDir();
  mkdirSync(homeDir, { recursive: true, mode: 0o700 });
  const other = readNodeStatus(homeDir);
  if (other !== undefined && isNodeRunning(other, Date.now())) {
    out(`A node already runs from ${homeDir} (process ${other.pid}). Stop it, or give this one its own --home.`);
    return 1;
  }
  const key = await loadNodeKey(homeDir);
  const nodeId = await nodeIdOf(key.publicKey);
  let runner: TaskRunner | undefined;
  const status = new StatusKeeper({
    homeDir,
    node: { pid: process.pid, nodeId, name: options.name, routerUrl: options.routerUrl.href, startedAtMs: Date.now() },
    work: () => ({ running: runner?.runningCount ?? 0, tasksResumed: runner?.resumedCount ?? 0 }),
  });

  const loaded = await loadModels(options);
  const { models, hardware, engine } = loaded;
  for (const { card } of models) {
    out(
      `loaded ${card.name} (${card.quantization}, ${card.contextTokens} tokens, ${card.slots} slots, ${card.tokensPerSecond} tokens/s)`,
    );
  }
  const outputLog = options.logTokenIds ? new OutputLog(homeDir) : undefined;

  const connection = new RouterConnection({
    routerUrl: options.routerUrl,
    key,
    details: {
      invite: options.invite,
      name: options.name,
      software,
      engine,
      hardware,
      models: models.map(({ card }) => card),
    },
    events: {
      onWelcome: (welcome) => {
        tasks.open(welcome);
        const { operator, leases } = welcome;
        const resumed = leases.length === 0 ? "" : `; tasks that go on: ${leases.length}`;
        out(`joined ${options.routerUrl.host} as ${nodeId} of operator ${operator}${resumed}`);
        status.change({ state: isStopping ? "draining" : "active", operator, problem: null });
      },
      onFrame: (frame) => {
        switch (frame.type) {
          case "task":
            return tasks.take(frame);
          case "cancel":
            return tasks.cancel(frame);
          case "resume":
            return tasks.resume(frame);
          case "acked":
            return tasks.acked(frame);
          case "standing": {
            const about = models.find(({ card }) => card.fileSha256 === frame.model);
            if (about !== undefined) status.stand(about.card.name, { kind: frame.kind, text: frame.text });
            return;
          }
          case "drain":
            return stop(`the router asks to drain: ${frame.reason}`);
        }
      },
      onLost: ({ reason, retryMs, wasWelcomed }) => {
        tasks.lost();
        if (wasWelcomed) status.countLoss(reason);
        const running = tasks.runningCount === 0 ? "" : `; tasks that go on meanwhile: ${tasks.runningCount}`;
        out(
          `no connection to ${options.routerUrl.host}: ${reason}; dialling again in ${(retryMs / 1_000).toFixed(1)} s${running}`,
        );
        status.change({ state: isStopping ? "draining" : "connecting", problem: reason });
      },
    },
    work: { holding: () => tasks.holding(), isBusy: () => tasks.runningCount > 0 },
  });
  const tasks = new TaskRunner({
    models: models.map(({ card, engine }) => ({ ...card, engine })),
    privateKey: key.privateKey,
    send: (frame) => connection.send(frame),
    onFinished: (task) => {
      out(taskLine(task, new Date()));
      outputLog?.write(task);
      status.count({ ...task, kind: task.frame.input.kind });
    },
  });
  runner = tasks;

  let isStopping = false;
  const stop = (reason: string) => {
    if (isStopping) {
      out("stopping at once; what runs is lost");
      process.exit(1);
    }
    isStopping = true;
    out(`${reason}: finishing ${tasks.runningCount} running tasks, taking no more`);
    status.change({ state: "draining" });
    tasks
      .drain()
      .catch((error: unknown) => out(`could not drain: ${String(error)}`))
      .finally(() => connection.close());
  };
  process.on("SIGTERM", () => stop("SIGTERM"));
  process.on("SIGINT", () => stop("SIGINT"));
  if (options.exitWithParent) process.stdin.on("close", () => process.exit(0)).resume();

  status.change({
    state: "connecting",
    models: models.map(({ card: { name, slots, tokensPerSecond } }) => ({
      name,
      slots,
      tokensPerSecond,
      standing: null,
    })),
  });
  try {
    await connection.run();
    status.change({ state: "stopped" });
    return 0;
  } catch (error) {
    if (!(error instanceof ConnectionRefused)) throw error;
    out(`${options.routerUrl.host} refuses this node (${error.code}): ${error.message}`);
    status.change({ state: "refused", problem: error.message });
    return 1;
  } finally {
    status.stop();
    await tasks.close();
    await loaded.dispose();
    await outputLog?.close();
  }
}
