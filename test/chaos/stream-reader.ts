import type OpenAI from "openai";
import { type TaskId, taskIdSchema } from "../../core/ids.ts";
import { until } from "../e2e/wait.ts";

/** What a client had of one stream when it was over, whole or not. */
export interface Received {
  /** Undefined where nothing came at all. */
  taskId: TaskId | undefined;
  text: string;
  finishReason: string | undefined;
  usage: { promptTokens: number; completionTokens: number } | undefined;
  /** What broke the stream, where something did. */
  error: unknown;
  /** Longest time from one piece of text to the next, or to the end. */
  longestSilenceMs: number;
}

export interface StreamOrder {
  model: string;
  prompt: string;
  maxTokens: number;
}

/** A client that reads one streamed answer, by the official SDK, at temperature 0 and without retries of its own. */
export class StreamReader {
  /** Resolves when the stream is over; what broke it is in the result. */
  readonly done: Promise<Received>;
  taskId: TaskId | undefined;
  text = "";
  readonly #controller = new AbortController();

  constructor(client: OpenAI, order: StreamOrder) {
    this.done = this.#read(client, order);
  }

  /** Goes away: the client closes its connection. Milliseconds since the epoch at which it did. */
  leave(): number {
    this.#controller.abort();
    return Date.now();
  }

  /** Resolves with the task's id once the first event is there: a node has the task. */
  async begun(): Promise<TaskId> {
    return until("the stream has begun", () => this.taskId);
  }

  /** Resolves once this many characters have come. */
  async hasText(characters: number): Promise<void> {
    await until(`${characters} characters have come`, () => this.text.length >= characters, { withinMs: 60_000 });
  }

  async #read(client: OpenAI, { model, prompt, maxTokens }: StreamOrder): Promise<Received> {
    const received: Received = {
      taskId: undefined,
      text: "",
      finishReason: undefined,
      usage: undefined,
      error: undefined,
      longestSilenceMs: 0,
    };
    let lastTextAtMs: number | undefined;
    const mark = () => {
      const nowMs = performance.now();
      if (lastTextAtMs !== undefined) {
        received.longestSilenceMs = Math.max(received.longestSilenceMs, nowMs - lastTextAtMs);
      }
      lastTextAtMs = nowMs;
    };
    try {
      const stream = await client.chat.completions.create(
        {
          ...{ model, messages: [{ role: "user", content: prompt }], temperature: 0, max_tokens: maxTokens },
          stream: true,
          stream_options: { include_usage: true },
        },
        { signal: this.#controller.signal },
      );
      for await (const chunk of stream) {
        this.taskId ??= taskIdSchema.parse(chunk.id.replace("chatcmpl-", "task_"));
        const [choice] = chunk.choices;
        if (choice?.delta.content) {
          mark();
          this.text += choice.delta.content;
        }
        received.finishReason ??= choice?.finish_reason ?? undefined;
        if (chunk.usage) {
          const { prompt_tokens: promptTokens, completion_tokens: completionTokens } = chunk.usage;
          received.usage = { promptTokens, completionTokens };
        }
      }
    } catch (error) {
      received.error = error;
    }
    mark();
    return { ...received, taskId: this.taskId, text: this.text };
  }
}
