import { createServer } from "node:http";
import { parseArgs } from "node:util";
import { z } from "zod";
import { type ModelHash, modelHashSchema } from "../../core/ids.ts";
import { type RoundRun, type RoundToRun, roundSchema } from "./round.ts";

/** What an engine's process of the bench is told. */
export interface EngineSetup {
  modelPath: string;
  /** Conversations at once. */
  slots: number;
  /** Of each conversation, prompt and answer. */
  contextTokens: number;
  /** What checks read first, as a node has it; our engine alone knows it. */
  copy?: { path: string; model: ModelHash } | undefined;
}

/**
 * A process of the bench that answers rounds sent to it by HTTP on loopback, one after another. Its flags are
 * `--model-path FILE --slots N --context N [--copy FILE --model-hash SHA256]`. Says `{"ready":true,"port":N}` once the
 * engine that `load` makes is there; ends when its standard input closes.
 */
export async function serveRounds(
  load: (setup: EngineSetup) => Promise<(round: RoundToRun) => Promise<RoundRun>>,
): Promise<void> {
  const { values } = parseArgs({
    options: {
      ...{ "model-path": { type: "string" }, slots: { type: "string" }, context: { type: "string" } },
      ...{ copy: { type: "string" }, "model-hash": { type: "string" } },
    },
  });
  const flags = z
    .object({
      "model-path": z.string(),
      slots: z.coerce.number().int().min(1).max(64),
      context: z.coerce.number().int().min(64),
      copy: z.string().optional(),
      "model-hash": modelHashSchema.optional(),
    })
    .parse(values);
  process.stdin.on("close", () => process.exit(0)).resume();
  const { "model-path": modelPath, slots, context: contextTokens, copy: path, "model-hash": model } = flags;
  const copy = path === undefined || model === undefined ? undefined : { path, model };
  const run = await load({ modelPath, slots, contextTokens, copy });
  const server = createServer(async (request, response) => {
    let body = "";
    for await (const chunk of request.setEncoding("utf8")) body += chunk;
    try {
      response.end(JSON.stringify(await run(roundSchema.parse(JSON.parse(body)))));
    } catch (error) {
      console.error(error);
      response.writeHead(500).end(error instanceof Error ? error.message : String(error));
    }
  });
  // A round may take long before its first byte.
  server.requestTimeout = 0;
  server.listen(0, "127.0.0.1", () => {
    const { port } = z.object({ port: z.int() }).parse(server.address());
    console.log(JSON.stringify({ ready: true, port }));
  });
}
