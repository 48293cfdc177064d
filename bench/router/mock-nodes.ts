import { parseArgs } from "node:util";
import { z } from "zod";
import { mockModels } from "./mock-answer.ts";
import { runMockNode } from "./mock-node.ts";

/**
 * Many mock nodes in one process of their own: `--router URL --nodes N --slots N [--model NAME …]`, the invite from the
 * environment (INVITE). Says `{"open":N,"atMs":…}` each time that all are welcome, and `{"stopped":"<prompt>","atMs":…}`
 * for each run that the router stops. Ends when its standard input closes.
 */
const { values } = parseArgs({
  options: {
    router: { type: "string" },
    nodes: { type: "string" },
    slots: { type: "string" },
    model: { type: "string", multiple: true },
    "exit-with-parent": { type: "boolean" },
  },
});
const flags = z
  .object({
    router: z.url().transform((url) => new URL(url)),
    nodes: z.coerce.number().int().min(1).max(10_000),
    slots: z.coerce.number().int().min(1).max(256),
    model: z.array(z.enum(mockModels)).default([...mockModels]),
  })
  .parse(values);
const invite = z.string().parse(process.env.INVITE);
process.stdin.on("close", () => process.exit(0)).resume();
// An orderly end, so that a profiler may write what it saw.
process.on("SIGTERM", () => process.exit(0));

let open = 0;
const runs = Array.from({ length: flags.nodes }, (_, index) =>
  runMockNode({
    routerUrl: flags.router,
    invite,
    name: `mock-${index + 1}`,
    models: flags.model,
    slots: flags.slots,
    onWelcome: () => {
      open += 1;
      if (open === flags.nodes) console.log(JSON.stringify({ open, atMs: Date.now() }));
    },
    onLost: () => {
      open -= 1;
    },
    onStopped: (prompt) => console.log(JSON.stringify({ stopped: prompt, atMs: Date.now() })),
  }),
);
await Promise.all(runs);
