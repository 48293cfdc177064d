import { describe, expect, test, vi } from "vitest";
import { nodeIdSchema, taskIdSchema } from "../../core/ids.ts";
import { modelCardSchema } from "../../core/model/model-card.ts";
import { Refusal } from "../../core/refusal.ts";
import type { Delivery } from "../../core/task/driver-step.ts";
import { AnswerReader } from "../answer-reader.ts";
import type { ServedModel } from "../objects/status-object.ts";
import { streamedChatAnswer, wholeChatAnswer } from "./chat-answer.ts";
import type { ChatOrder } from "./chat-request.ts";

const card = modelCardSchema.parse({
  name: "model",
  fileSha256: "ab".repeat(32),
  kind: "chat",
  sizeBytes: 1,
  quantization: "Q4_1",
  architecture: "llama",
  contextTokens: 2_048,
  slots: 1,
  tokensPerSecond: 10,
});
const model: ServedModel = {
  ...{ card, id: "model", shards: 1, liveNodes: 1, slots: 1, freeSlots: 1, waiting: 0, atMs: 0, firstSeenAtMs: 0 },
};
const nodeIds = [nodeIdSchema.parse("node_one0"), nodeIdSchema.parse("node_two0")];
const text = (content: string): Delivery => ({ type: "deliver", text: content, tokenIds: [1] });
const end: Delivery = { type: "end", finishReason: "length", promptTokens: 5, completionTokens: 3 };

/** A task whose answer comes in these rounds, the first of them already there; a refusal in their place is thrown. */
function answering(...rounds: (Delivery[] | Refusal)[]) {
  const cancel = vi.fn();
  const take = () => {
    const round = rounds.shift() ?? [];
    if (round instanceof Refusal) throw round;
    return round;
  };
  const run = {
    taskId: taskIdSchema.parse("task_one0"),
    createdAtMs: 1_500,
    nodeIds,
    cancel,
    ready: take,
    begin: async () => {},
    promptTokens: 5,
    network: { taskId: "task_one0", nodes: nodeIds, trust: "sampled", verdict: "unchecked" },
  };
  return { ...run, next: async () => take() };
}

function orderOf({ includeUsage = false } = {}): ChatOrder {
  const sampling = {
    temperature: 0,
    topP: 1,
    frequencyPenalty: 0,
    presencePenalty: 0,
    seed: 1,
    stop: [],
    maxTokens: 9,
  };
  const input = { kind: "chat" as const, messages: [{ role: "user" as const, content: "Hello" }], sampling };
  return { model: "model", input, choices: 1, isStream: true, includeUsage, wantsEvidence: false };
}

const readerOf = (run: ReturnType<typeof answering>) => new AnswerReader(run, { input: orderOf().input });

const streamed = (run: ReturnType<typeof answering>, fields: { includeUsage?: boolean } = {}) =>
  streamedChatAnswer([readerOf(run)], {
    model,
    order: orderOf(fields),
    requestId: "req_1",
    headers: { "x-request-id": "req_1" },
  });

/** The pieces of bytes in which a body came, as text. */
async function piecesOf(response: Response): Promise<string[]> {
  const pieces: string[] = [];
  if (response.body === null) throw new Error("the response has no body");
  for await (const bytes of response.body) pieces.push(new TextDecoder().decode(bytes));
  return pieces;
}

const shared = {
  id: "chatcmpl-one0",
  object: "chat.completion.chunk",
  created: 1,
  model: "model",
  system_fingerprint: "fp_abababababab",
};
const event = (json: object) => `data: ${JSON.stringify(json)}\n\n`;
const chunk = (delta: object, finishReason: string | null = null, more: object = {}) =>
  event({ ...shared, choices: [{ index: 0, delta, logprobs: null, finish_reason: finishReason }], ...more });
const role = chunk({ role: "assistant", content: "", refusal: null });
const network = { network: { taskId: "task_one0", nodes: nodeIds, trust: "sampled", verdict: "unchecked" } };

describe("a streamed answer", () => {
  test("is the role, the text as it comes, the finish reason with every node, and [DONE]", async () => {
    const run = answering([], [text("one")], [text(' "two"\n')], [end]);
    expect(await piecesOf(streamed(run))).toEqual([
      role,
      chunk({ content: "one" }),
      chunk({ content: ' "two"\n' }),
      `${chunk({}, "length", network)}data: [DONE]\n\n`,
    ]);
  });

  test("sends what is there at once as one piece, each part an event of its own", async () => {
    const run = answering([text("a"), text("b")], [text("c"), text("d"), end]);
    expect(await piecesOf(streamed(run))).toEqual([
      role + chunk({ content: "a" }) + chunk({ content: "b" }),
      `${chunk({ content: "c" }) + chunk({ content: "d" }) + chunk({}, "length", network)}data: [DONE]\n\n`,
    ]);
  });

  test("that was whole from the start is no stream to us, and the same to its reader", async () => {
    const response = streamed(answering([text("a"), end]));
    expect(response.headers.get("content-type")).toBe("text/event-stream; charset=utf-8");
    expect(await response.text()).toBe(
      `${role}${chunk({ content: "a" })}${chunk({}, "length", network)}data: [DONE]\n\n`,
    );
  });

  test("sends nothing for a piece without text", async () => {
    expect(await piecesOf(streamed(answering([], [text("")], [text("é")], [end])))).toHaveLength(3);
  });

  test("counts at its end where it was asked to, with null in every chunk before", async () => {
    const body = await streamed(answering([text("a"), end]), { includeUsage: true }).text();
    const chunks = body.split("\n\n").filter((line) => line.startsWith("data: {"));
    expect(chunks.map((line) => JSON.parse(line.slice(6)).usage)).toEqual([
      ...[null, null, null],
      { prompt_tokens: 5, completion_tokens: 3, total_tokens: 8 },
    ]);
  });

  test("that breaks ends with the error as an event, and never with [DONE]", async () => {
    const broken = new Refusal({ code: "stream_broken", message: "gone" });
    const pieces = await piecesOf(streamed(answering([], [text("a")], broken)));
    expect(pieces.at(-1)).toBe(
      event({ error: { message: "gone", type: "server_error", param: null, code: "stream_broken" } }),
    );
    expect(pieces.join("")).not.toContain("[DONE]");
  });

  test("whose caller left just stops", async () => {
    expect(await piecesOf(streamed(answering([], [text("a")], [])))).toEqual([role, chunk({ content: "a" })]);
  });

  test("whose reader goes away cancels its task", async () => {
    const waiting = { ...answering([]), next: () => new Promise<Delivery[]>(() => {}) };
    await streamed(waiting).body?.cancel();
    expect(waiting.cancel).toHaveBeenCalledOnce();
  });
});

describe("a whole answer", () => {
  test("is all of its text, with the counts and every node", async () => {
    const run = answering([text("one"), text(" two")], [text(" three"), end]);
    const response = await wholeChatAnswer([readerOf(run)], {
      model,
      order: orderOf(),
      headers: { "x-request-id": "req_1" },
    });
    expect(response.headers.get("x-request-id")).toBe("req_1");
    expect(await response.json()).toEqual({
      ...{ ...shared, object: "chat.completion" },
      choices: [
        {
          index: 0,
          message: { role: "assistant", content: "one two three", refusal: null },
          logprobs: null,
          finish_reason: "length",
        },
      ],
      usage: { prompt_tokens: 5, completion_tokens: 3, total_tokens: 8 },
      ...network,
    });
  });

  test("whose caller left is a refusal that nobody reads", async () => {
    await expect(
      wholeChatAnswer([readerOf(answering([text("a")]))], { model, order: orderOf(), headers: {} }),
    ).rejects.toThrow("cancelled");
  });
});
