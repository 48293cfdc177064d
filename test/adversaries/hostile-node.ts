import { appendFileSync, existsSync, readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { z } from "zod";
import { seededRandom } from "../../core/testing/seeded-random.ts";
import { loadModels } from "../../worker-node/commands/load-models.ts";
import { RouterConnection } from "../../worker-node/connection/router-connection.ts";
import type { Engine } from "../../worker-node/engine/engine.ts";
import { loadLlamaEngine } from "../../worker-node/engine/llama-engine.ts";
import { openLlama } from "../../worker-node/engine/open-llama.ts";
import { loadNodeKey } from "../../worker-node/home.ts";
import { defaultCacheDir } from "../../worker-node/models/cache-dir.ts";
import { software } from "../../worker-node/software.ts";
import { TaskRunner } from "../../worker-node/task-runner.ts";
import { cheatNames, cheats } from "./cheats.ts";
import { HostileEngine } from "./hostile-engine.ts";

/**
 * A node that cheats: a real one in a process of its own, with the connection and the tasks of an honest node and an
 * engine that is not what it says. It knows nothing of how answers are judged. Says `{"ready":true,"nodeId":…}` once
 * the router has taken it in; ends when its standard input closes.
 */
const { values } = parseArgs({
  options: {
    router: { type: "string" },
    token: { type: "string" },
    name: { type: "string" },
    home: { type: "string" },
    /** Says what it serves. */
    model: { type: "string" },
    /** Serves this instead, where the cheat wants another. */
    "other-model": { type: "string" },
    cheat: { type: "string" },
    /** A file that a pair shares. */
    shared: { type: "string" },
    slots: { type: "string", default: "2" },
    context: { type: "string", default: "1024" },
  },
});
const flags = z
  .object({
    ...{ router: z.url(), token: z.string(), name: z.string(), home: z.string(), model: z.string() },
    ...{ "other-model": z.string(), cheat: z.enum(cheatNames), shared: z.string() },
    ...{ slots: z.coerce.number().int().min(1), context: z.coerce.number().int().min(64) },
  })
  .parse(values);

const out = (line: string) => console.log(line);
process.stdin.on("close", () => process.exit(0)).resume();
const key = await loadNodeKey(flags.home);
const loaded = await loadModels({
  ...{ models: [flags.model], upstream: undefined, slots: flags.slots, contextTokens: flags.context, threads: 1 },
  ...{ gpu: false, cacheDir: defaultCacheDir(), out },
});
const loadOther = async (): Promise<Engine> =>
  loadLlamaEngine({
    llama: await openLlama({ gpu: false, threads: 1, logError: out }),
    ...{ modelPath: flags["other-model"], kind: "chat", slots: flags.slots, contextTokens: flags.context, threads: 1 },
  });
const shared = {
  // As JSON, so that a text of many lines is one.
  add: (text: string) => appendFileSync(flags.shared, `${JSON.stringify(text)}\n`),
  has: (text: string) =>
    existsSync(flags.shared) && readFileSync(flags.shared, "utf8").split("\n").includes(JSON.stringify(text)),
};
const models = loaded.models.map(({ card, engine }) => ({
  ...card,
  engine: new HostileEngine({
    ...{ honest: engine, loadOther, shared, cheat: cheats[flags.cheat], random: seededRandom(flags.name.length) },
  }),
}));

const { engine, hardware } = loaded;
const connection = new RouterConnection({
  routerUrl: new URL(flags.router),
  key,
  details: {
    ...{ invite: flags.token, name: flags.name, software, engine, hardware },
    models: loaded.models.map(({ card }) => card),
  },
  events: {
    onWelcome: (welcome) => {
      tasks.open(welcome);
      out(JSON.stringify({ ready: true, nodeId: welcome.nodeId }));
    },
    onFrame: (frame) => {
      if (frame.type === "task") tasks.take(frame);
      else if (frame.type === "cancel") tasks.cancel(frame);
      else if (frame.type === "resume") tasks.resume(frame);
      else if (frame.type === "acked") tasks.acked(frame);
    },
    onLost: () => tasks.lost(),
  },
  work: { holding: () => tasks.holding(), isBusy: () => tasks.runningCount > 0 },
});
const tasks = new TaskRunner({
  ...{ models, privateKey: key.privateKey, send: (frame) => connection.send(frame) },
  onFinished: ({ frame, outcome, problem }) => out(`${frame.input.kind} ${frame.taskId} ${outcome} ${problem ?? ""}`),
});
await connection.run();
