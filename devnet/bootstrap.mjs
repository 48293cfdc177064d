// Runs a TypeScript file of this project on the project's own Node 24, installing the packages first where they are
// missing or older than the lock file. Plain JavaScript for any Node, since it runs before anything is installed.
import { spawn, spawnSync } from "node:child_process";
import { existsSync, statSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const root = resolve(dirname(fileURLToPath(import.meta.url)), "..");
const projectNode = join(root, "node_modules", "node", "bin", process.platform === "win32" ? "node.exe" : "node");
const installedLock = join(root, "node_modules", ".package-lock.json");
const [script, ...scriptArguments] = process.argv.slice(2);

if (!isInstalled()) {
  console.error("Installing packages (once, about a minute) …");
  // Not `npm ci`: it refuses a lock file that lacks the binaries of other platforms, which npm leaves out where the
  // registry that made the lock did not hold them. What the lock names is installed as it names it.
  const install = spawnSync("npm", ["install", "--no-save", "--loglevel=error", "--no-audit", "--no-fund"], {
    cwd: root,
    stdio: ["ignore", "inherit", "inherit"],
    shell: process.platform === "win32",
  });
  if (install.status !== 0) {
    console.error("Packages could not be installed: npm's message above says why. Mend it and run the command again.");
    process.exit(install.status ?? 1);
  }
}

const path = [join(root, "node_modules", ".bin"), process.env.PATH].join(process.platform === "win32" ? ";" : ":");
const child = spawn(projectNode, ["--disable-warning=ExperimentalWarning", resolve(root, script), ...scriptArguments], {
  stdio: "inherit",
  env: { ...process.env, PATH: path },
});
// A terminal's Ctrl-C reaches the child by itself; a signal sent to this process alone must be handed on.
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => child.kill(signal));
child.on("exit", (code, signal) => process.exit(code ?? (signal === "SIGINT" ? 130 : 143)));

function isInstalled() {
  if (!existsSync(projectNode) || !existsSync(installedLock)) return false;
  return statSync(installedLock).mtimeMs >= statSync(join(root, "package-lock.json")).mtimeMs;
}
