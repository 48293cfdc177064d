import { afterEach, beforeAll, expect, test } from "vitest";
import type { ModelCard } from "../../core/model/model-card.ts";
import {
  ask,
  chat,
  contentOf,
  dealer,
  listedCards,
  newCard,
  newKey,
  pooled,
  refusalOf,
  welcomed,
} from "./deployment.ts";
import { closeNodes } from "./fake-node.ts";
import { standInForPostgres } from "./fake-postgres.ts";
import { until } from "./until.ts";

standInForPostgres();
afterEach(closeNodes);

let nextCard: () => ModelCard;
let key: string;
beforeAll(async () => {
  nextCard = dealer(await listedCards(14));
  key = (await newKey()).key;
});

/** The events of a stream without its comments; `[DONE]` as it is. */
async function eventsOf(response: Response): Promise<unknown[]> {
  const text = await response.text();
  return text
    .split("\n\n")
    .filter((event) => event !== "" && !event.startsWith(":"))
    .map((event) => {
      const data = /^data: ([^\n]*)$/.exec(event)?.[1];
      if (data === undefined) throw new Error(`no event: ${event}`);
      return data === "[DONE]" ? data : JSON.parse(data);
    });
}

test("the node gets the request as it was asked, with everything defaulted", async () => {
  const card = nextCard();
  const node = await pooled(card, 1);
  const fields = { temperature: 0, seed: 7, stop: "END", max_tokens: 9, user: "someone" };
  const response = chat(key, card, "What is the capital of France?", fields);
  const task = await node.next("task");
  expect(task).toEqual({
    type: "task",
    taskId: expect.stringMatching(/^task_/),
    attemptId: expect.stringMatching(/^attempt_/),
    model: card.fileSha256,
    input: {
      kind: "chat",
      messages: [{ role: "user", content: "What is the capital of France?" }],
      sampling: {
        temperature: 0,
        topP: 1,
        frequencyPenalty: 0,
        presencePenalty: 0,
        seed: 7,
        stop: ["END"],
        maxTokens: 9,
      },
    },
  });
  node.answer(task, "Paris.");
  expect((await contentOf(await response)).content).toBe("Paris.");
});

test("a whole answer is OpenAI's chat.completion, with the network's own part after it", async () => {
  const card = nextCard();
  const node = await pooled(card, 1);
  const asked = chat(key, card, "Hello", { max_tokens: 4 });
  const task = await node.next("task");
  node.ack(task, 11);
  node.delta(task, 0, { text: "Hel", tokenIds: [1, 2] });
  // A token may complete no character: its delta has no text.
  node.delta(task, 1, { tokenIds: [3] });
  node.delta(task, 2, { text: "lo 𝄞", tokenIds: [4] });
  node.commit(task, { finishReason: "length", promptTokens: 11, completionTokens: 4 });
  const response = await asked;
  expect(response.status).toBe(200);
  expect(response.headers.get("x-request-id")).toMatch(/^req_/);
  expect(await response.json()).toEqual({
    id: task.taskId.replace("task_", "chatcmpl-"),
    object: "chat.completion",
    created: expect.any(Number),
    model: card.name,
    system_fingerprint: `fp_${card.fileSha256.slice(0, 12)}`,
    choices: [
      {
        index: 0,
        message: { role: "assistant", content: "Hello 𝄞", refusal: null },
        logprobs: null,
        finish_reason: "length",
      },
    ],
    usage: { prompt_tokens: 11, completion_tokens: 4, total_tokens: 15 },
    network: { taskId: task.taskId, nodes: [node.nodeId], trust: "sampled", verdict: "unchecked" },
  });
});

test("a stream is OpenAI's chunks: the role, each text, the reason of its end, [DONE]", async () => {
  const card = nextCard();
  const node = await pooled(card, 1);
  const asked = chat(key, card, "Hello", { stream: true });
  const task = await node.next("task");
  node.ack(task, 11);
  node.delta(task, 0, { text: "Hel", tokenIds: [1] });
  node.delta(task, 1, { tokenIds: [2] });
  node.delta(task, 2, { text: "lo", tokenIds: [3] });
  node.commit(task, { promptTokens: 11, completionTokens: 3 });
  const response = await asked;
  expect(response.headers.get("content-type")).toBe("text/event-stream; charset=utf-8");
  const chunk = (delta: object, finish_reason: string | null, more: object = {}) => ({
    id: task.taskId.replace("task_", "chatcmpl-"),
    object: "chat.completion.chunk",
    created: expect.any(Number),
    model: card.name,
    system_fingerprint: `fp_${card.fileSha256.slice(0, 12)}`,
    choices: [{ index: 0, delta, logprobs: null, finish_reason }],
    ...more,
  });
  expect(await eventsOf(response)).toEqual([
    chunk({ role: "assistant", content: "", refusal: null }, null),
    chunk({ content: "Hel" }, null),
    chunk({ content: "lo" }, null),
    chunk({}, "stop", {
      network: { taskId: task.taskId, nodes: [node.nodeId], trust: "sampled", verdict: "unchecked" },
    }),
    "[DONE]",
  ]);
});

test("a stream's counts come last when asked for, and are null until then", async () => {
  const card = nextCard();
  const node = await pooled(card, 1);
  const asked = chat(key, card, "Hello", { stream: true, stream_options: { include_usage: true } });
  node.answer(await node.next("task"), "Hello");
  const events = await eventsOf(await asked);
  expect(events).toMatchObject([
    { usage: null, choices: [{ delta: { role: "assistant" } }] },
    { usage: null, choices: [{ delta: { content: "Hello" } }] },
    { usage: null, choices: [{ finish_reason: "stop" }] },
    { usage: { prompt_tokens: 3, completion_tokens: 1, total_tokens: 4 }, choices: [] },
    "[DONE]",
  ]);
});

test("text is passed on before the answer is whole", async () => {
  const card = nextCard();
  const node = await pooled(card, 1);
  const asked = chat(key, card, "Hello", { stream: true });
  const task = await node.next("task");
  node.ack(task);
  const body = (await asked).body;
  if (body === null) throw new Error("the stream has no body");
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  node.delta(task, 0, { text: "first", tokenIds: [1] });
  let seen = "";
  while (!seen.includes("first")) {
    const { done, value } = await reader.read();
    if (done) throw new Error(`the stream ended: ${seen}`);
    seen += value;
  }
  node.commit(task);
  let rest = "";
  for (let next = await reader.read(); !next.done; next = await reader.read()) rest += next.value;
  expect(rest).toContain("[DONE]");
});

test("an empty answer is an answer", async () => {
  const card = nextCard();
  const node = await pooled(card, 1);
  const asked = chat(key, card, "Say nothing");
  const task = await node.next("task");
  node.ack(task);
  node.commit(task, { completionTokens: 0 });
  expect((await contentOf(await asked)).content).toBe("");
});

test("answers of several tasks in one frame reach each its own reader", async () => {
  const card = nextCard();
  const node = await pooled(card, 2);
  const asked = [chat(key, card, "one"), chat(key, card, "two")];
  const tasks = [await node.next("task"), await node.next("task")];
  for (const task of tasks) node.ack(task);
  const said = (task: (typeof tasks)[number]) =>
    task.input.kind === "chat" ? `you said ${task.input.messages[0]?.content}` : "";
  node.send({
    type: "delta",
    items: tasks.map((task) => ({ attemptId: task.attemptId, seq: 0, text: said(task), tokenIds: [1] })),
  });
  for (const task of tasks) node.commit(task);
  const contents = await Promise.all(asked.map(async (response) => (await contentOf(await response)).content));
  expect(contents).toEqual(["you said one", "you said two"]);
});

test.each<[guarantee: string, promptTokens: number, isTriedElsewhere: boolean]>([
  ["a prompt that does not fit one node goes to another that reads more", 1_000, true],
  ["one that would not fit that either does not", 2_048, false],
])("%s", async (_guarantee, promptTokens, isTriedElsewhere) => {
  const card = nextCard();
  const large = await pooled(card, 0);
  const small = await pooled({ ...card, contextTokens: 512 }, 1);
  const asked = chat(key, card, "a story");
  const overflow = { code: "context_length_exceeded", promptTokens, contextTokens: 512, inputIndex: 0 } as const;
  small.fail(await small.next("task"), overflow);
  large.pull(card.fileSha256, 1);
  if (isTriedElsewhere) {
    large.answer(await large.next("task"), "Hello");
    expect(await contentOf(await asked)).toEqual({ content: "Hello", nodes: [large.nodeId] });
  } else {
    expect(await refusalOf(await asked)).toMatchObject({ status: 400, code: "context_length_exceeded" });
    expect(large.waiting("task")).toBe(0);
  }
});

test("a prompt that does not fit is a 400 with both numbers, and is not tried elsewhere", async () => {
  const card = nextCard();
  const node = await pooled(card, 1);
  const other = await pooled(card, 0);
  const asked = chat(key, card, "a long story");
  node.fail(await node.next("task"), {
    code: "context_length_exceeded",
    promptTokens: 5_000,
    contextTokens: 2_048,
    inputIndex: 0,
  });
  expect(await refusalOf(await asked)).toEqual({
    status: 400,
    code: "context_length_exceeded",
    param: "messages",
    message: expect.stringMatching(/5000 tokens.* 2048/),
  });
  expect(other.waiting("task")).toBe(0);
});

test("what the model cannot do is a 400", async () => {
  const card = nextCard();
  const node = await pooled(card, 1);
  const asked = chat(key, card, "Hello");
  node.fail(await node.next("task"), { code: "unsupported", message: "This model has no chat template." });
  expect(await refusalOf(await asked)).toMatchObject({ status: 400, code: "unsupported_parameter" });
});

test("a model that nobody serves now is a 503 at once", async () => {
  const response = await chat(key, nextCard(), "Hello");
  expect(response.headers.get("retry-after")).toBe("5");
  expect(await refusalOf(response)).toMatchObject({ status: 503, code: "no_live_node" });
});

test("a node that joins is listed with its model, and one that leaves is not", async () => {
  const card = newCard();
  const listed = async () => {
    const text = await (await ask("/v1/models", { key })).text();
    return text.includes(card.name);
  };
  const node = await welcomed([card]);
  node.pull(card.fileSha256, 1);
  await until(async () => (await listed()) || undefined, "the model in the list");
  const asked = chat(key, card, "Hello");
  node.answer(await node.next("task"), "Hello");
  expect((await contentOf(await asked)).nodes).toEqual([node.nodeId]);
  node.close();
  await until(async () => !(await listed()) || undefined, "the model gone from the list");
});

test("a node that drains gets no further task, and finishes what it has", async () => {
  const card = nextCard();
  const [first, second] = [await pooled(card, 2), await pooled(card, 0)];
  const asked = chat(key, card, "Hello");
  const task = await first.next("task");
  first.send({ type: "status", state: "draining", running: 1 });
  const later = chat(key, card, "Hello again");
  second.pull(card.fileSha256, 1);
  second.answer(await second.next("task"), "from the second");
  expect((await contentOf(await later)).nodes).toEqual([second.nodeId]);
  first.answer(task, "from the first");
  expect((await contentOf(await asked)).nodes).toEqual([first.nodeId]);
  expect(first.waiting("task")).toBe(0);
  first.send({ type: "drained" });
  expect(await first.closed()).toEqual({ code: 1000, reason: "drained" });
});
