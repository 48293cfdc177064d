import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { defaultCacheDir } from "../../worker-node/models/cache-dir.ts";

/** The peers, each at one version, so that a figure can be had again. */
const pypiPackage = "vllm-router==0.1.17";
/**
 * The gateway takes `hono` and its server in any newer version, and with the newest its streams fail ("immutable"
 * headers, first seen with server 1.19.0); with these they work.
 */
const npmPackages = { "@portkey-ai/gateway": "1.15.2", hono: "4.9.7", "@hono/node-server": "1.13.7" } as const;

/** Where the peers' programs are. */
export interface InstalledPeers {
  vllmRouter: string;
  portkeyGateway: string;
}

/**
 * Installs both peers once, into a folder of the cache that is named by their versions. Throws what pip or npm said
 * where that fails.
 */
export function installPeers(say: (text: string) => void): InstalledPeers {
  const versions = JSON.stringify([pypiPackage, npmPackages]);
  const folder = join(
    defaultCacheDir(),
    `bench-peers-${createHash("sha256").update(versions).digest("hex").slice(0, 12)}`,
  );
  const installed: InstalledPeers = {
    vllmRouter: join(folder, "python/bin/vllm-router"),
    portkeyGateway: join(folder, "node_modules/@portkey-ai/gateway/build/start-server.js"),
  };
  const whole = join(folder, "installed");
  if (existsSync(whole)) return installed;
  say(`installing ${pypiPackage} and @portkey-ai/gateway@${npmPackages["@portkey-ai/gateway"]} (once)`);
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  perform("python3", ["-m", "venv", join(folder, "python")], folder);
  perform(join(folder, "python/bin/python"), ["-m", "pip", "install", "--quiet", pypiPackage], folder);
  const manifest = { private: true, dependencies: npmPackages, overrides: npmPackages };
  writeFileSync(join(folder, "package.json"), JSON.stringify(manifest));
  // Its install script patches the packages of its own development, which are not here.
  perform("npm", ["install", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"], folder);
  if (!existsSync(installed.vllmRouter) || !existsSync(installed.portkeyGateway)) {
    throw new Error(`a peer's program is not where it was in ${dirname(whole)}`);
  }
  writeFileSync(whole, "");
  return installed;
}

function perform(command: string, parameters: readonly string[], cwd: string): void {
  const { status, error, stdout, stderr } = spawnSync(command, [...parameters], { cwd, encoding: "utf8" });
  if (status === 0) return;
  throw new Error([`${command} could not install a peer.`, error?.message, stdout, stderr].filter(Boolean).join("\n"));
}
