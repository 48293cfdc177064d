import { z } from "zod";
import type { FakeNode } from "./fake-node.ts";

/** What a caller has of a streamed chat once it is over. */
export interface StreamEnd {
  content: string;
  /** Events that begin an answer: one, whatever happens to its nodes. */
  beginnings: number;
  finishReason: string | null;
  promptTokens: number | null;
  completionTokens: number | null;
  nodes: string[] | null;
  errorCode: string | null;
  isDone: boolean;
}

const chunkSchema = z.object({
  choices: z.array(
    z.object({
      delta: z.object({ role: z.string().optional(), content: z.string().optional() }),
      finish_reason: z.string().nullable(),
    }),
  ),
  usage: z.object({ prompt_tokens: z.int(), completion_tokens: z.int() }).nullish(),
  network: z.object({ nodes: z.array(z.string()) }).optional(),
});
const errorSchema = z.object({ error: z.object({ code: z.string() }) });
const eventSchema = z.union([z.literal("[DONE]"), errorSchema, chunkSchema]);

/** A streamed chat as its caller reads it. */
export class ChatStream {
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>;
  readonly #decoder = new TextDecoder();
  #text = "";

  private constructor(reader: ReadableStreamDefaultReader<Uint8Array>) {
    this.#reader = reader;
  }

  /** Begins to read a response, once its headers are there. */
  static async of(asked: Promise<Response>): Promise<ChatStream> {
    const response = await asked;
    if (response.status !== 200 || response.body === null) throw new Error(`no stream: ${await response.text()}`);
    return new ChatStream(response.body.getReader());
  }

  /** Reads until the caller has this much of the answer. */
  async untilContent(content: string): Promise<void> {
    while (!this.#soFar().content.startsWith(content)) {
      if (!(await this.#readOn())) throw new Error(`the stream ended at ${this.#text}`);
    }
  }

  /** Reads to the end. */
  async end(): Promise<StreamEnd> {
    while (await this.#readOn());
    return this.#soFar();
  }

  /** The caller goes away. */
  leave(): Promise<void> {
    return this.#reader.cancel();
  }

  async #readOn(): Promise<boolean> {
    const { done, value } = await this.#reader.read();
    if (value !== undefined) this.#text += this.#decoder.decode(value, { stream: true });
    return !done;
  }

  #soFar(): StreamEnd {
    const end: StreamEnd = {
      content: "",
      beginnings: 0,
      finishReason: null,
      promptTokens: null,
      completionTokens: null,
      nodes: null,
      errorCode: null,
      isDone: false,
    };
    for (const event of this.#text.split("\n\n").slice(0, -1)) {
      if (!event.startsWith(":")) take(end, event);
    }
    return end;
  }
}

function take(end: StreamEnd, event: string): void {
  const data = event.replace(/^data: /, "");
  const parsed = eventSchema.parse(data === "[DONE]" ? data : JSON.parse(data));
  if (parsed === "[DONE]") {
    end.isDone = true;
    return;
  }
  if ("error" in parsed) {
    end.errorCode = parsed.error.code;
    return;
  }
  for (const { delta, finish_reason } of parsed.choices) {
    if (delta.role !== undefined) end.beginnings += 1;
    end.content += delta.content ?? "";
    end.finishReason = finish_reason ?? end.finishReason;
  }
  end.promptTokens = parsed.usage?.prompt_tokens ?? end.promptTokens;
  end.completionTokens = parsed.usage?.completion_tokens ?? end.completionTokens;
  end.nodes = parsed.network?.nodes ?? end.nodes;
}

/** How a stream that nothing broke ends: this content of so many tokens, by these nodes. */
export function wholeStream(content: string, completionTokens: number, nodes: readonly FakeNode[]): StreamEnd {
  return {
    content,
    beginnings: 1,
    finishReason: "stop",
    promptTokens: 3,
    completionTokens,
    nodes: nodes.map(({ nodeId }) => nodeId),
    errorCode: null,
    isDone: true,
  };
}
