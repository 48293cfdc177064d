import { Devnet, DevnetProblem } from "./devnet.ts";
import { type Flags, parseFlags, usage } from "./flags.ts";
import type { Running } from "./state.ts";

const startedAtMs = Date.now();
const flags = readFlags();
let isStopping = false;

const devnet = new Devnet({
  flags,
  say: (step, text) =>
    console.log(`${((Date.now() - startedAtMs) / 1_000).toFixed(1).padStart(6)} s  ${step.padEnd(9)} ${text}`),
  onBroken: () => end(1),
});

for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => end(0));

try {
  const running = await devnet.start();
  if (!isStopping) for (const line of readyText(running, flags.model)) console.log(line);
} catch (error) {
  // What fails because it is being stopped is not worth a word.
  if (!isStopping) {
    console.error(error instanceof DevnetProblem ? error.message : error);
    end(1);
  }
}

function end(code: number): void {
  if (isStopping) return;
  isStopping = true;
  devnet.stop().then(
    () => process.exit(code),
    (error: unknown) => {
      console.error("The devnet could not be stopped cleanly:", error);
      process.exit(1);
    },
  );
}

function readFlags(): Flags {
  try {
    const parsed = parseFlags(process.argv.slice(2));
    if (parsed !== "help") return parsed;
    console.log(usage);
    process.exit(0);
  } catch (error) {
    console.error(`${error instanceof Error ? error.message : error}\n\n${usage}`);
    process.exit(2);
  }
}

function readyText({ baseUrl, apiKey, logs, nodes }: Running, models: readonly string[]): string[] {
  // A model given as a path is served under the name in its file, which the page shows.
  const model = models.find((name) => !name.includes("/")) ?? "<a name from the page>";
  const body = `{"model":"${model}","stream":true,"temperature":0,"messages":[{"role":"system","content":"You are a helpful assistant."},{"role":"user","content":"What is the capital of France?"}]}`;
  return [
    "",
    `Ready: ${nodes.length} nodes serve ${models.join(", ")}.`,
    "",
    `  base URL  ${baseUrl}`,
    `  API key   ${apiKey}`,
    `  page      ${baseUrl.replace(/\/v1$/, "/")}`,
    `  logs      ${logs}`,
    "",
    "Ask it:",
    "",
    `  curl -N ${baseUrl}/chat/completions -H 'Authorization: Bearer ${apiKey}' -H 'Content-Type: application/json' -d '${body}'`,
    "",
    `The nodes belong to different operators. To have another one check the answer first: ask for the model ${model}:checked.`,
    "",
    "With the OpenAI SDK:",
    "",
    '  import OpenAI from "openai";',
    `  const client = new OpenAI({ baseURL: "${baseUrl}", apiKey: "${apiKey}" });`,
    `  console.log(await client.chat.completions.create({ model: "${model}", messages: [{ role: "user", content: "Hello!" }] }));`,
    "",
    "Ctrl-C stops everything.",
  ];
}
