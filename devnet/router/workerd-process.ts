import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { z } from "zod";

/** One run of workerd. */
export interface WorkerdProcess {
  /** Resolves once it is gone: how it ended, and for how long it had listened (0 where it never did). */
  ended: Promise<{ code: number | null; signal: NodeJS.Signals | null; livedMs: number }>;
  kill(signal: NodeJS.Signals): void;
}

/** What workerd says on its control pipe when it listens. */
const listenSchema = z.object({ event: z.literal("listen"), socket: z.literal("http"), port: z.int() });

/**
 * Starts workerd with this configuration; what it prints goes where this process prints. `onListen` is told the port
 * and its process id once it takes requests. Throws where the process has no control pipe.
 */
export function serveWorkerd({
  binary,
  configPath,
  onListen,
}: {
  binary: string;
  configPath: string;
  onListen: (listening: { port: number; pid: number }) => void;
}): WorkerdProcess {
  // Descriptor 3 carries workerd's own word on what it listens to.
  const child = spawn(binary, ["serve", configPath, "--control-fd=3"], {
    stdio: ["ignore", "inherit", "inherit", "pipe"],
  });
  const control = child.stdio[3];
  if (control === null || control === undefined || !("read" in control)) throw new Error("workerd has no control pipe");
  let listenedAtMs: number | undefined;
  createInterface({ input: control }).on("line", (line) => {
    const listen = listenSchema.safeParse(JSON.parse(line));
    if (!listen.success || child.pid === undefined) return;
    listenedAtMs = Date.now();
    onListen({ port: listen.data.port, pid: child.pid });
  });
  return {
    ended: new Promise((resolve, reject) => {
      child.once("error", reject);
      child.once("exit", (code, signal) => {
        resolve({ code, signal, livedMs: listenedAtMs === undefined ? 0 : Date.now() - listenedAtMs });
      });
    }),
    kill: (signal) => {
      child.kill(signal);
    },
  };
}
