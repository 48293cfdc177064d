import { z } from "zod";
import type { LoadJob } from "./load-job.ts";

/** An answer as its reader had it; the times are those of `performance.now()` at each event that brought text. */
export interface ReadAnswer {
  text: string;
  textAtMs: number[];
}

const wholeSchema = z.object({ choices: z.tuple([z.object({ message: z.object({ content: z.string() }) })]) });
const chunkSchema = z.object({
  choices: z.array(z.object({ delta: z.object({ content: z.string().nullish() }) })).optional(),
  error: z.object({ message: z.string() }).optional(),
});

/**
 * Reads a response's body to its end: a chat completion, its server-sent events, or (`echo`) bare text. Throws where
 * it is not as OpenAI has it, where an event tells of an error, and where a stream ends without `[DONE]`.
 */
export async function readAnswer(
  body: AsyncIterable<Buffer> & { text(): Promise<string> },
  shape: LoadJob["shape"],
): Promise<ReadAnswer> {
  if (shape === "echo") return { text: await body.text(), textAtMs: [] };
  if (shape === "whole") {
    const { choices } = wholeSchema.parse(JSON.parse(await body.text()));
    return { text: choices[0].message.content, textAtMs: [] };
  }
  const answer: ReadAnswer = { text: "", textAtMs: [] };
  const decoder = new TextDecoder();
  let rest = "";
  let isDone = false;
  for await (const bytes of body) {
    const events = (rest + decoder.decode(bytes, { stream: true })).split("\n\n");
    rest = events.pop() ?? "";
    for (const event of events) {
      if (!event.startsWith("data: ")) continue;
      if (event === "data: [DONE]") {
        isDone = true;
        continue;
      }
      const chunk = chunkSchema.parse(JSON.parse(event.slice(6)));
      if (chunk.error !== undefined) throw new Error(`the stream told of an error: ${chunk.error.message}`);
      const text = chunk.choices?.[0]?.delta.content ?? "";
      if (text === "") continue;
      answer.text += text;
      answer.textAtMs.push(performance.now());
    }
  }
  if (!isDone) throw new Error("the stream ended without [DONE]");
  return answer;
}
