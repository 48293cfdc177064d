import { spawn } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { build } from "esbuild";
import { z } from "zod";
import { parseWranglerSettings, workerdConfig } from "./workerd-config.ts";

const usage = `node devnet/router/main.ts --state DIR --port N [--exit-with-parent]

Bundles the router and serves it with workerd on 127.0.0.1; prints {"ready":true,"port":N,"pid":N} when it listens.
Secrets come from the environment: ADMIN_KEY, DATABASE_URL, NEON_FETCH_ENDPOINT.
  --state DIR         where the bundle and the objects' storage are kept
  --port N            0 for any free one
  --exit-with-parent  end when standard input closes`;

/** Bindings that workerd takes from its own environment. */
const secrets = ["ADMIN_KEY", "DATABASE_URL", "NEON_FETCH_ENDPOINT"] as const;

/** How long workerd may take to finish what it answers. */
const drainMs = 2_000;

const root = resolve(import.meta.dirname, "../..");
const flags = readFlags();
const objectsDir = join(flags.state, "objects");
mkdirSync(objectsDir, { recursive: true });

// The package is CommonJS without types: its default export is the path of the binary for this machine.
const workerd = z.object({ default: z.string() }).parse(createRequire(import.meta.url)("workerd")).default;
const settings = parseWranglerSettings(readFileSync(join(root, "wrangler.toml"), "utf8"));
await build({
  entryPoints: [join(root, settings.main)],
  outfile: join(flags.state, "worker.js"),
  bundle: true,
  format: "esm",
  target: "es2024",
  external: ["cloudflare:*", "node:*"],
  logLevel: "error",
});
const configPath = join(flags.state, "config.capnp");
writeFileSync(configPath, workerdConfig(settings, { port: flags.port, objectsDir, secrets }));

// Descriptor 3 carries workerd's own word on what it listens to.
const child = spawn(workerd, ["serve", configPath, "--control-fd=3"], {
  stdio: ["ignore", "inherit", "inherit", "pipe"],
});
const control = child.stdio[3];
if (control === null || control === undefined || !("on" in control)) throw new Error("workerd has no control pipe");
const listenSchema = z.object({ event: z.literal("listen"), socket: z.literal("http"), port: z.int() });
control.on("data", (data: Buffer) => {
  for (const line of data.toString().split("\n")) {
    if (line === "") continue;
    const listen = listenSchema.safeParse(JSON.parse(line));
    if (listen.success) console.log(JSON.stringify({ ready: true, port: listen.data.port, pid: child.pid }));
  }
});

let isStopping = false;
const stop = () => {
  isStopping = true;
  child.kill("SIGTERM");
  // Told to end, workerd waits 20 s for a socket whose node was killed. What its objects stored is on disk already.
  setTimeout(() => child.kill("SIGKILL"), drainMs).unref();
};
process.on("SIGTERM", stop);
process.on("SIGINT", stop);
if (flags["exit-with-parent"]) process.stdin.on("close", stop).resume();
child.on("exit", (code, signal) => {
  if (!isStopping) console.error(`workerd ended by itself with ${signal ?? `exit code ${code}`}`);
  process.exit(isStopping ? 0 : (code ?? 1));
});

function readFlags(): { state: string; port: number; "exit-with-parent": boolean } {
  const { values } = parseArgs({
    options: { state: { type: "string" }, port: { type: "string" }, "exit-with-parent": { type: "boolean" } },
  });
  const parsed = z
    .object({
      state: z.string().min(1),
      port: z.coerce.number().int().min(0).max(65_535).default(0),
      "exit-with-parent": z.boolean().default(false),
    })
    .safeParse(values);
  if (parsed.success) return { ...parsed.data, state: resolve(parsed.data.state) };
  console.error(usage);
  process.exit(2);
}
