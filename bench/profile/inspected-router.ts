import { spawn } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join, resolve } from "node:path";
import { createInterface } from "node:readline";
import { parseArgs } from "node:util";
import { build } from "esbuild";
import { z } from "zod";
import { parseWranglerSettings, workerdConfig } from "../../devnet/router/workerd-config.ts";

/**
 * As `devnet/router/main.ts`, with V8's inspector open on loopback and a source map beside the bundle: what a profiler
 * needs. Prints `{"ready":true,"port":N,"pid":N,"inspectorPort":N}`; ends when its standard input closes.
 */
const { values } = parseArgs({ options: { state: { type: "string" } }, strict: false });
const state = resolve(z.string().parse(values.state));
const root = resolve(import.meta.dirname, "../..");
const objectsDir = join(state, "objects");
mkdirSync(objectsDir, { recursive: true });
const settings = parseWranglerSettings(readFileSync(join(root, "wrangler.toml"), "utf8"));
await build({
  entryPoints: [join(root, settings.main)],
  outfile: join(state, "worker.js"),
  bundle: true,
  format: "esm",
  target: "es2024",
  sourcemap: "external",
  external: ["cloudflare:*", "node:*"],
  logLevel: "error",
});
const configPath = join(state, "config.capnp");
const secrets = ["ADMIN_KEY", "DATABASE_URL", "NEON_FETCH_ENDPOINT"];
writeFileSync(configPath, workerdConfig(settings, { port: 0, objectsDir, filesDir: objectsDir, secrets }));
const binary = z.object({ default: z.string() }).parse(createRequire(import.meta.url)("workerd")).default;
const workerd = spawn(binary, ["serve", configPath, "--control-fd=3", "--inspector-addr=127.0.0.1:0"], {
  stdio: ["ignore", "inherit", "inherit", "pipe"],
});
const control = workerd.stdio[3];
if (control === null || control === undefined || !("read" in control)) throw new Error("workerd has no control pipe");
const listenSchema = z.object({ event: z.enum(["listen", "listen-inspector"]), port: z.int() });
const ports = new Map<z.infer<typeof listenSchema>["event"], number>();
createInterface({ input: control }).on("line", (line) => {
  const listen = listenSchema.parse(JSON.parse(line));
  ports.set(listen.event, listen.port);
  const port = ports.get("listen");
  const inspectorPort = ports.get("listen-inspector");
  if (port === undefined || inspectorPort === undefined) return;
  console.log(JSON.stringify({ ready: true, port, pid: workerd.pid, inspectorPort }));
});
const stop = () => workerd.kill("SIGKILL");
process.on("SIGTERM", stop);
process.stdin.on("close", stop).resume();
workerd.on("exit", () => process.exit(0));
