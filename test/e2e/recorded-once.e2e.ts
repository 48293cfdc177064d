import { readFileSync } from "node:fs";
import { join } from "node:path";
import { inArray } from "drizzle-orm";
import OpenAI from "openai";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { z } from "zod";
import { type TaskId, taskIdSchema } from "../../core/ids.ts";
import { attempts } from "../../db/schema/attempts.ts";
import { tasks } from "../../db/schema/tasks.ts";
import { usage } from "../../db/schema/usage.ts";
import { defaultCacheDir } from "../../worker-node/models/cache-dir.ts";
import { resolveModel } from "../../worker-node/models/store.ts";
import { DevnetProcess, newFolder } from "./devnet-process.ts";
import { ensurePython, runPython } from "./python.ts";
import { until } from "./wait.ts";

const model = "smollm2-135m-instruct";
const nodes = 2;
type Message = { role: "system" | "user" | "assistant"; content: string };

/** What tells tokenisers apart: scripts, emoji of several code points, digits, white space, marks, code, roles. */
const conversations: readonly Message[][] = [
  ...[
    "What is the capital of France?",
    "日本の首都はどこですか。",
    "Опиши зиму одним предложением.",
    "👩‍👩‍👧‍👦 and 🏳️‍🌈 — what do you see? 🙂🙂",
    "Compute 1234567890 + 9876543210 = ?",
    "  leading,   inner   and trailing spaces   ",
    "line one\nline two\r\n\tline three\n\n\n",
    "e\u0301 is not é, and ﬁ is one letter",
    "function add(a, b) { return a+b; } // it's we're I'LL",
    "שלום עולם ו مرحبا بالعالم",
    "zero\u200bwidth\u00a0and\ufeffmarks",
    "$3.14 №5 ½ ² x₁ ∑∞ ≠ √2",
    "한국어로 인사해 주세요!",
    "A".repeat(200),
    "'s 't 're 've 'm 'll 'd ''' \"\"\" ``` --- ___",
    "हिन्दी में एक वाक्य लिखो।",
    "Thai: สวัสดีชาวโลก, Tibetan: བོད་ཡིག",
  ].map((content): Message[] => [{ role: "user", content }]),
  [
    { role: "system", content: "You are a pirate 🏴‍☠️." },
    { role: "user", content: "Hello!" },
  ],
  [
    { role: "user", content: "My name is Zoë." },
    { role: "assistant", content: "Hello Zoë!" },
    { role: "user", content: "What is my name?" },
  ],
  [
    { role: "system", content: "" },
    { role: "user", content: "." },
  ],
];

const outputSchema = z.object({
  taskId: taskIdSchema,
  outcome: z.string(),
  promptTokens: z.int(),
  tokenIds: z.array(z.int()),
});

let devnet: DevnetProcess;
let client: OpenAI;
let python: string;

beforeAll(async () => {
  python = ensurePython();
  devnet = await DevnetProcess.start({ folder: newFolder(), models: [model], nodes, slots: 4, cache: "shared" });
  client = new OpenAI({ baseURL: devnet.baseUrl, apiKey: devnet.apiKey, maxRetries: 0 });
});
afterAll(() => devnet.remove());

interface Answered {
  taskId: TaskId;
  text: string;
  usage: OpenAI.CompletionUsage;
  finishReason: string;
}

async function ask(messages: readonly Message[], maxTokens: number): Promise<Answered> {
  const stream = await client.chat.completions.create({
    model,
    messages: [...messages],
    max_tokens: maxTokens,
    stream: true,
    stream_options: { include_usage: true },
  });
  let text = "";
  let finishReason: string | undefined;
  let counts: OpenAI.CompletionUsage | undefined;
  let id = "";
  for await (const chunk of stream) {
    id = chunk.id;
    text += chunk.choices[0]?.delta.content ?? "";
    finishReason ??= chunk.choices[0]?.finish_reason ?? undefined;
    counts ??= chunk.usage ?? undefined;
  }
  if (counts === undefined || finishReason === undefined) throw new Error("The stream ended without its counts.");
  return { taskId: taskIdSchema.parse(id.replace("chatcmpl-", "task_")), text, usage: counts, finishReason };
}

/** What the record holds of these tasks, once it holds as many as there are. */
async function recorded(taskIds: readonly TaskId[], withinMs: number) {
  const database = devnet.database();
  const ofThese = { tasks: inArray(tasks.taskId, [...taskIds]), usage: inArray(usage.taskId, [...taskIds]) };
  const rows = await until(
    "every task is in the record",
    async () => {
      const found = await database.select().from(tasks).where(ofThese.tasks);
      return found.length >= taskIds.length && found;
    },
    { withinMs },
  );
  return {
    tasks: rows,
    attempts: await database
      .select()
      .from(attempts)
      .where(inArray(attempts.taskId, [...taskIds])),
    usage: await database.select().from(usage).where(ofThese.usage),
  };
}

/** Everything that both nodes put out, by task. */
function outputs(): Map<TaskId, z.infer<typeof outputSchema>[]> {
  const byTask = new Map<TaskId, z.infer<typeof outputSchema>[]>();
  for (let number = 1; number <= nodes; number += 1) {
    const log = readFileSync(join(devnet.stateDir, `node-${number}`, "outputs.jsonl"), "utf8");
    for (const line of log.trim().split("\n").filter(Boolean)) {
      const output = outputSchema.parse(JSON.parse(line));
      byTask.set(output.taskId, [...(byTask.get(output.taskId) ?? []), output]);
    }
  }
  return byTask;
}

const referenceSchema = z.object({ promptTokens: z.array(z.int()), texts: z.array(z.string()) });

describe("twenty streams at once on two nodes of four slots", () => {
  let answers: Answered[];
  let record: Awaited<ReturnType<typeof recorded>>;
  let reference: z.infer<typeof referenceSchema>;
  let output: Map<TaskId, z.infer<typeof outputSchema>[]>;

  beforeAll(async () => {
    expect(conversations).toHaveLength(20);
    answers = await Promise.all(conversations.map((messages, index) => ask(messages, 12 + (index % 8) * 4)));
    record = await recorded(
      answers.map(({ taskId }) => taskId),
      30_000,
    );
    output = outputs();
    const { path } = await resolveModel(model, { cacheDir: defaultCacheDir() });
    reference = referenceSchema.parse(
      await runPython(python, "reference_tokenizer.py", {
        gguf: path,
        conversations,
        outputs: answers.map(({ taskId }) => output.get(taskId)?.[0]?.tokenIds ?? []),
      }),
    );
  });

  test("every one is answered, by both nodes between them", () => {
    expect(answers.filter(({ finishReason }) => !["stop", "length"].includes(finishReason))).toEqual([]);
    expect(new Set(answers.map(({ taskId }) => taskId)).size).toBe(answers.length);
    expect(new Set(record.attempts.map(({ nodeId }) => nodeId)).size).toBe(nodes);
  });

  test("each is in the record once, completed, with one committed attempt and one row of usage", () => {
    const ids = answers.map(({ taskId }) => taskId).sort();
    expect(record.tasks.map(({ taskId }) => taskId).sort()).toEqual(ids);
    expect(record.attempts.map(({ taskId }) => taskId).sort()).toEqual(ids);
    expect(record.usage.map(({ taskId }) => taskId).sort()).toEqual(ids);
    expect(new Set(record.tasks.map(({ state }) => state))).toEqual(new Set(["completed"]));
    expect(new Set(record.attempts.map(({ state }) => state))).toEqual(new Set(["committed"]));
    for (const { taskId, finishReason } of answers) {
      expect(record.tasks.find((row) => row.taskId === taskId)).toMatchObject({ finishReason, errorCode: null });
    }
  });

  test("the prompt tokens told, recorded and billed are those an independent tokeniser counts", () => {
    for (const [index, { taskId, usage: told }] of answers.entries()) {
      const expected = { prompt: conversations[index], tokens: reference.promptTokens[index] };
      const counted = (tokens: number | undefined) => ({ prompt: conversations[index], tokens });
      expect(counted(told.prompt_tokens)).toEqual(expected);
      for (const rows of [record.tasks, record.attempts, record.usage]) {
        expect(counted(rows.find((row) => row.taskId === taskId)?.promptTokens)).toEqual(expected);
      }
    }
  });

  test("the completion tokens told, recorded and billed are those the node put out, and they are the text received", () => {
    for (const [index, { taskId, text, usage: told }] of answers.entries()) {
      const [only, ...others] = output.get(taskId) ?? [];
      expect(others).toEqual([]);
      expect(only?.tokenIds).toHaveLength(told.completion_tokens);
      expect(reference.texts[index]).toBe(text);
      for (const rows of [record.tasks, record.attempts, record.usage]) {
        expect(rows.find((row) => row.taskId === taskId)?.completionTokens).toBe(told.completion_tokens);
      }
    }
  });
});

test("tasks that end while Postgres does not answer are in the record once it does, each once", async () => {
  const postgres = devnet.processOf("devnet/postgres/main.ts");
  process.kill(postgres.pid, "SIGSTOP");
  let answers: Answered[];
  try {
    answers = await Promise.all(["One", "Two", "Three"].map((content) => ask([{ role: "user", content }], 8)));
    // One outbox's patience with a request: after this a batch has failed, and is sent again later.
    await until("the router has noticed", () =>
      readFileSync(join(devnet.running.logs, "router.log"), "utf8").includes("Postgres did not take a batch"),
    );
  } finally {
    process.kill(postgres.pid, "SIGCONT");
  }
  const record = await recorded(
    answers.map(({ taskId }) => taskId),
    60_000,
  );
  expect([record.tasks.length, record.attempts.length, record.usage.length]).toEqual([3, 3, 3]);
  for (const { taskId, usage: told } of answers) {
    expect(record.usage.find((row) => row.taskId === taskId)).toMatchObject({
      promptTokens: told.prompt_tokens,
      completionTokens: told.completion_tokens,
    });
  }
});
