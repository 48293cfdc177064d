import { parse } from "smol-toml";
import { z } from "zod";

/** The parts of `wrangler.toml` that say how the router runs; workerd gets the same from them. */
const wranglerSchema = z.object({
  main: z.string(),
  compatibility_date: z.string(),
  compatibility_flags: z.array(z.string()).default([]),
  durable_objects: z.object({ bindings: z.array(z.object({ name: z.string(), class_name: z.string() })) }),
});
export type WranglerSettings = z.infer<typeof wranglerSchema>;

/** Reads `wrangler.toml`; throws where it is not as the router needs it. */
export function parseWranglerSettings(toml: string): WranglerSettings {
  return wranglerSchema.parse(parse(toml));
}

/**
 * A workerd configuration (Cap'n Proto text) that serves the bundle `worker.js` beside it as `wrangler.toml` says, with
 * objects and files on disk. Secrets are named, not held: workerd reads them from its environment.
 */
export function workerdConfig(
  settings: WranglerSettings,
  {
    port,
    objectsDir,
    filesDir,
    secrets,
  }: { port: number; objectsDir: string; filesDir: string; secrets: readonly string[] },
): string {
  const { bindings } = settings.durable_objects;
  const list = (items: readonly string[]) => `[\n    ${items.join(",\n    ")}\n  ]`;
  const text = (value: string) => JSON.stringify(value);
  return `using Workerd = import "/workerd/workerd.capnp";

const config :Workerd.Config = (
  v8Flags = ["--max-semi-space-size=2"],
  services = [
    (name = "router", worker = .router),
    # In the place of the bucket that a deployment has.
    (name = "files", disk = (path = ${text(filesDir)}, writable = true)),
    (name = "objects", disk = (path = ${text(objectsDir)}, writable = true)),
    # The devnet's Postgres listens on loopback, which a Worker may not reach by default.
    (name = "outside", network = (allow = ["public", "private"], tlsOptions = (trustBrowserCas = true)))
  ],
  sockets = [(name = "http", address = ${text(`127.0.0.1:${port}`)}, service = "router")]
);

const router :Workerd.Worker = (
  modules = [(name = "worker.js", esModule = embed "worker.js")],
  compatibilityDate = ${text(settings.compatibility_date)},
  compatibilityFlags = ${list(settings.compatibility_flags.map(text))},
  bindings = ${list([
    ...bindings.map(({ name, class_name }) => `(name = ${text(name)}, durableObjectNamespace = ${text(class_name)})`),
    `(name = "FILES_DIRECTORY", service = "files")`,
    ...secrets.map((name) => `(name = ${text(name)}, fromEnvironment = ${text(name)})`),
  ])},
  durableObjectNamespaces = ${list(
    bindings.map(
      ({ class_name }) =>
        `(className = ${text(class_name)}, uniqueKey = ${text(`cortensor-edge-${class_name}`)}, enableSql = true)`,
    ),
  )},
  durableObjectStorage = (localDisk = "objects"),
  globalOutbound = "outside"
);
`;
}
