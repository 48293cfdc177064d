import { spawn } from "node:child_process";
import { openSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { z } from "zod";
import type { ChatMessage } from "../../core/wire/task-input.ts";
import type { Answered, Contender } from "./round.ts";
import type { EngineSetup } from "./serve-rounds.ts";

const loadWithinMs = 120_000;
const healthEveryMs = 200;

/**
 * Starts llama.cpp's own server on the same file with as many slots of the same context, on one thread, and resolves
 * once its model is loaded. Its times are a client's on loopback: the server has no other door.
 */
export async function startLlamaServer({
  path,
  setup: { modelPath, slots, contextTokens },
  folder,
}: {
  path: string;
  setup: EngineSetup;
  folder: string;
}): Promise<Contender> {
  const port = await freePort();
  const flags = ["--model", modelPath, "--host", "127.0.0.1", "--port", String(port), "--threads", "1"];
  flags.push("--threads-batch", "1", "--parallel", String(slots), "--ctx-size", String(slots * contextTokens));
  flags.push("--n-gpu-layers", "0", "--jinja");
  const logPath = join(folder, "llama-server.log");
  const log = openSync(logPath, "a");
  const server = spawn(path, flags, { stdio: ["ignore", log, log] });
  const kill = () => void server.kill("SIGKILL");
  process.on("exit", kill);
  const ended = new Promise<void>((resolve) => server.once("close", () => resolve()));
  const origin = `http://127.0.0.1:${port}`;
  await untilHealthy(origin, () => {
    if (server.exitCode !== null || server.signalCode !== null) throw new Error(`llama-server ended: see ${logPath}`);
  });
  return {
    name: "llama-server",
    pid: server.pid ?? 0,
    run: async ({ conversations, tokens }) => {
      const startedMs = performance.now();
      const answers = await Promise.all(
        conversations.map((messages) => answer(origin, { messages, tokens, startedMs })),
      );
      return { answers, wallMs: performance.now() - startedMs, checks: [] };
    },
    stop: async () => {
      server.kill("SIGTERM");
      await ended;
      process.off("exit", kill);
    },
  };
}

const chunkSchema = z.object({
  choices: z.array(z.object({ delta: z.object({ content: z.string().nullish() }) })),
  usage: z.object({ prompt_tokens: z.int(), completion_tokens: z.int() }).nullish(),
});

async function answer(
  origin: string,
  { messages, tokens, startedMs }: { messages: readonly ChatMessage[]; tokens: number; startedMs: number },
): Promise<Answered> {
  const response = await fetch(`${origin}/v1/chat/completions`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({
      ...{ messages, max_tokens: tokens, temperature: 0, ignore_eos: true },
      ...{ stream: true, stream_options: { include_usage: true } },
    }),
  });
  if (!response.ok || response.body === null) throw new Error(`llama-server: ${await response.text()}`);
  let firstTokenMs: number | undefined;
  let text = "";
  let usage: z.infer<typeof chunkSchema>["usage"];
  let unread = "";
  for await (const bytes of response.body.pipeThrough(new TextDecoderStream())) {
    const lines = (unread + bytes).split("\n");
    unread = lines.pop() ?? "";
    for (const line of lines) {
      if (!line.startsWith("data: {")) continue;
      const chunk = chunkSchema.parse(JSON.parse(line.slice("data: ".length)));
      const content = chunk.choices[0]?.delta.content ?? "";
      if (content !== "") firstTokenMs ??= performance.now() - startedMs;
      text += content;
      usage = chunk.usage ?? usage;
    }
  }
  if (!usage || firstTokenMs === undefined) throw new Error("llama-server sent no usage or no text");
  return { promptTokens: usage.prompt_tokens, tokens: usage.completion_tokens, text, firstTokenMs };
}

async function untilHealthy(origin: string, check: () => void): Promise<void> {
  const deadlineMs = performance.now() + loadWithinMs;
  for (;;) {
    check();
    const response = await fetch(`${origin}/health`).catch((error: unknown) => {
      // Not listening yet.
      if (error instanceof TypeError) return undefined;
      throw error;
    });
    if (response?.ok) return;
    if (performance.now() > deadlineMs) throw new Error(`llama-server was not ready within ${loadWithinMs} ms`);
    await sleep(healthEveryMs);
  }
}

/** A port that was free a moment ago. */
function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const { port } = z.object({ port: z.int() }).parse(server.address());
      server.close(() => resolve(port));
    });
  });
}
