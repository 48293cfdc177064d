import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { build } from "esbuild";
import { z } from "zod";
import { afterEnd } from "./restart-policy.ts";
import { parseWranglerSettings, workerdConfig } from "./workerd-config.ts";
import { serveWorkerd, type WorkerdProcess } from "./workerd-process.ts";

const usage = `node devnet/router/main.ts --state DIR --port N [--entry FILE] [--restart] [--exit-with-parent]

Bundles the router and serves it with workerd on 127.0.0.1; prints {"ready":true,"port":N,"pid":N} each time it listens.
Secrets come from the environment: ADMIN_KEY, DATABASE_URL, NEON_FETCH_ENDPOINT.
  --state DIR         where the bundle and the objects' storage are kept
  --port N            0 for any free one
  --entry FILE        the Worker's main module, instead of the one that wrangler.toml names
  --restart           start workerd again, on the same port and storage, when it ends by itself
  --exit-with-parent  end when standard input closes`;

/** Bindings that workerd takes from its own environment. */
const secrets = ["ADMIN_KEY", "DATABASE_URL", "NEON_FETCH_ENDPOINT"] as const;

/** How long workerd may take to finish what it answers. */
const drainMs = 2_000;

const flagsSchema = z.object({
  state: z
    .string()
    .min(1)
    .transform((dir) => resolve(dir)),
  port: z.coerce.number().int().min(0).max(65_535).default(0),
  entry: z
    .string()
    .min(1)
    .transform((file) => resolve(file))
    .optional(),
  restart: z.boolean().default(false),
  "exit-with-parent": z.boolean().default(false),
});
type Flags = z.infer<typeof flagsSchema>;

const root = resolve(import.meta.dirname, "../..");
const flags = readFlags();
const objectsDir = join(flags.state, "objects");
const filesDir = join(flags.state, "files");
mkdirSync(objectsDir, { recursive: true });
mkdirSync(filesDir, { recursive: true });

// The package is CommonJS without types: its default export is the path of the binary for this machine.
const binary = z.object({ default: z.string() }).parse(createRequire(import.meta.url)("workerd")).default;
const settings = parseWranglerSettings(readFileSync(join(root, "wrangler.toml"), "utf8"));
await build({
  entryPoints: [flags.entry ?? join(root, settings.main)],
  outfile: join(flags.state, "worker.js"),
  bundle: true,
  format: "esm",
  target: "es2024",
  external: ["cloudflare:*", "node:*"],
  logLevel: "error",
});
const configPath = join(flags.state, "config.capnp");

let workerd: WorkerdProcess | undefined;
let isStopping = false;
process.on("SIGTERM", stop);
process.on("SIGINT", stop);
if (flags["exit-with-parent"]) process.stdin.on("close", stop).resume();
process.exit(await serveUntilStopped());

/** Runs workerd, again and again where that is asked for, and returns the exit code: 0 where it was told to stop. */
async function serveUntilStopped(): Promise<number> {
  let { port } = flags;
  let hasListened = false;
  let shortLives = 0;
  while (!isStopping) {
    writeFileSync(configPath, workerdConfig(settings, { port, objectsDir, filesDir, secrets }));
    workerd = serveWorkerd({
      binary,
      configPath,
      onListen: (listening) => {
        hasListened = true;
        // Whoever knows the router knows it by this port, so the next workerd takes the same.
        port = listening.port;
        console.log(JSON.stringify({ ready: true, ...listening }));
      },
    });
    const { code, signal, livedMs } = await workerd.ended;
    if (isStopping) return 0;
    const how = `workerd ended by itself with ${signal ?? `exit code ${code}`}`;
    // One that never listened would not listen the next time either.
    const then = flags.restart && hasListened ? afterEnd({ livedMs, shortLives }) : ({ kind: "giveUp" } as const);
    if (then.kind === "giveUp") {
      console.error(how);
      return code ?? 1;
    }
    console.error(`${how}; starting it again${then.delayMs === 0 ? "" : ` in ${then.delayMs} ms`}`);
    ({ shortLives } = then);
    await new Promise((resolve) => setTimeout(resolve, then.delayMs));
  }
  return 0;
}

function stop(): void {
  isStopping = true;
  workerd?.kill("SIGTERM");
  // Told to end, workerd waits 20 s for a socket whose node was killed. What its objects stored is on disk already.
  setTimeout(() => workerd?.kill("SIGKILL"), drainMs).unref();
}

function readFlags(): Flags {
  const { values } = parseArgs({
    options: {
      state: { type: "string" },
      port: { type: "string" },
      entry: { type: "string" },
      restart: { type: "boolean" },
      "exit-with-parent": { type: "boolean" },
    },
  });
  const parsed = flagsSchema.safeParse(values);
  if (parsed.success) return parsed.data;
  console.error(usage);
  process.exit(2);
}
