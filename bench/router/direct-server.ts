import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { z } from "zod";
import { chatInputSchema } from "../../core/wire/task-input.ts";
import { mockModels, mockPacesMs } from "./mock-answer.ts";
import { MockEngine } from "./mock-engine.ts";

/**
 * The direct path: one plain Node server that answers OpenAI-shaped chat requests from the mock engine itself, with no
 * router between. Prints `{"ready":true,"port":N}`; ends when its standard input closes.
 */
const bodySchema = z.object({
  model: z.enum(mockModels),
  messages: chatInputSchema.shape.messages,
  max_tokens: z.int().positive(),
  stream: z.boolean().default(false),
});

const engines = new Map(
  mockModels.map((model) => [model, new MockEngine({ paceMs: mockPacesMs[model], onStopped: () => {} })]),
);
const sampling = { temperature: 1, topP: 1, frequencyPenalty: 0, presencePenalty: 0, seed: 0, stop: [] };

const server = createServer((request, response) => {
  answer(request, response).catch((error: unknown) => response.writeHead(500).end(String(error)));
});
// A client's pool keeps its connections between rounds.
server.keepAliveTimeout = 60_000;
server.listen(0, "127.0.0.1", () => {
  const { port } = z.object({ port: z.int() }).parse(server.address());
  console.log(JSON.stringify({ ready: true, port }));
});
process.stdin.on("close", () => process.exit(0)).resume();

async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
  // A gateway may ask whether its backend lives, and what it serves.
  if (request.method === "GET") {
    response.writeHead(200, { "content-type": "application/json" });
    const data = mockModels.map((id) => ({ id, object: "model", created: 0, owned_by: "bench" }));
    response.end(JSON.stringify({ object: "list", data }));
    return;
  }
  let text = "";
  for await (const chunk of request.setEncoding("utf8")) text += chunk;
  const { model, messages, max_tokens: maxTokens, stream } = bodySchema.parse(JSON.parse(text));
  const prepared = await engines.get(model)?.prepareChat({
    kind: "chat",
    messages,
    sampling: { ...sampling, maxTokens },
  });
  if (prepared === undefined) throw new Error(`no engine for ${model}`);
  const gone = new AbortController();
  response.on("close", () => gone.abort());
  const created = Math.floor(Date.now() / 1_000);
  if (stream) {
    const head = { id: "chatcmpl-direct", object: "chat.completion.chunk", created, model };
    const send = (delta: object, finishReason: string | null) => {
      const choices = [{ index: 0, delta, logprobs: null, finish_reason: finishReason }];
      response.write(`data: ${JSON.stringify({ ...head, choices })}\n\n`);
    };
    response.writeHead(200, { "content-type": "text/event-stream; charset=utf-8" });
    send({ role: "assistant", content: "" }, null);
    await prepared.run({ signal: gone.signal, onPiece: (piece) => send({ content: piece.text }, null) });
    send({}, "length");
    response.end("data: [DONE]\n\n");
    return;
  }
  let content = "";
  const outcome = await prepared.run({
    signal: gone.signal,
    onPiece: (piece) => {
      content += piece.text;
    },
  });
  const usage = {
    prompt_tokens: outcome.promptTokens,
    completion_tokens: outcome.completionTokens,
    total_tokens: outcome.promptTokens + outcome.completionTokens,
  };
  const message = { role: "assistant", content, refusal: null };
  const choices = [{ index: 0, message, logprobs: null, finish_reason: "length" }];
  const head = { id: "chatcmpl-direct", object: "chat.completion", created, model };
  response.writeHead(200, { "content-type": "application/json" });
  response.end(JSON.stringify({ ...head, choices, usage }));
}
