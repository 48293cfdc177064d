import { Refusal } from "../../core/refusal.ts";
import type { Delivery } from "../../core/task/driver-step.ts";
import { errorBody, toRefusal } from "../errors.ts";
import type { ServedModel } from "../objects/status-object.ts";
import { sseDone, sseEvent, sseResponse, sseWhole } from "../sse.ts";
import type { Answering } from "../task-run.ts";
import type { ChatOrder } from "./chat-request.ts";

type ExtraHeaders = Readonly<Record<string, string>>;

/** The whole answer as OpenAI's `chat.completion` object. Nodes that fail on the way are replaced unseen. */
export async function wholeChatAnswer(
  run: Answering,
  { model, headers }: { model: ServedModel; headers: ExtraHeaders },
): Promise<Response> {
  let content = "";
  for (let parts = await run.next(); parts.length > 0; parts = await run.next()) {
    for (const part of parts) {
      if (part.type === "deliver") content += part.text;
      else if (part.type === "end") {
        const body = {
          ...head(run, model, "chat.completion"),
          choices: [
            {
              index: 0,
              message: { role: "assistant", content, refusal: null },
              logprobs: null,
              finish_reason: part.finishReason,
            },
          ],
          usage: usageOf(part),
          network: networkOf(run),
        };
        return Response.json(body, { headers });
      }
    }
  }
  // The caller is gone: nobody reads this.
  throw new Refusal({ code: "stream_broken", message: "The request was cancelled." });
}

/**
 * The answer as OpenAI's `chat.completion.chunk` events: the role at once, then text as it comes, the finish reason,
 * the counts if asked for, `[DONE]`. Events that are there at once go out as one piece. An error after the first chunk
 * is an event of its own.
 */
export function streamedChatAnswer(
  run: Answering,
  {
    model,
    order,
    requestId,
    headers,
  }: { model: ServedModel; order: ChatOrder; requestId: string; headers: ExtraHeaders },
): Response {
  const toEvents = chunkEvents(run, { model, includeUsage: order.includeUsage });
  const parts = run.ready();
  const first = toEvents.role + toEvents.of(parts);
  if (isEnded(parts)) return sseWhole(first + sseDone, headers);
  return sseResponse(
    async (write) => {
      write(first);
      try {
        for (let parts = await run.next(); parts.length > 0; parts = await run.next()) {
          const events = toEvents.of(parts);
          if (isEnded(parts)) {
            write(events + sseDone);
            return;
          }
          // A piece may have no text yet: half a character.
          if (events !== "") write(events);
        }
      } catch (error) {
        write(sseEvent(JSON.stringify(errorBody(toRefusal(error, requestId)))));
      }
    },
    { onGone: () => run.cancel(), headers },
  );
}

/** Writes the parts of one answer as events. What all chunks share is made into JSON once. */
function chunkEvents(run: Answering, { model, includeUsage }: { model: ServedModel; includeUsage: boolean }) {
  const shared = { ...head(run, model, "chat.completion.chunk"), ...(includeUsage ? { usage: null } : {}) };
  const opening = JSON.stringify(shared).slice(0, -1);
  const chunk = (delta: string, finishReason: string | null, more = "") =>
    sseEvent(
      `${opening},"choices":[{"index":0,"delta":${delta},"logprobs":null,"finish_reason":${JSON.stringify(finishReason)}}]${more}}`,
    );
  const eventsOf = (part: Delivery): string => {
    if (part.type === "deliver") return part.text === "" ? "" : chunk(`{"content":${JSON.stringify(part.text)}}`, null);
    if (part.type !== "end") return "";
    const last = chunk("{}", part.finishReason, `,"network":${JSON.stringify(networkOf(run))}`);
    if (!includeUsage) return last;
    return last + sseEvent(JSON.stringify({ ...shared, choices: [], usage: usageOf(part) }));
  };
  return {
    role: chunk('{"role":"assistant","content":"","refusal":null}', null),
    of: (parts: readonly Delivery[]) => parts.map(eventsOf).join(""),
  };
}

function isEnded(parts: readonly Delivery[]): boolean {
  return parts.at(-1)?.type === "end";
}

function head(run: Answering, model: ServedModel, object: string): object {
  return {
    id: run.taskId.replace("task_", "chatcmpl-"),
    object,
    created: Math.floor(run.createdAtMs / 1_000),
    model: model.id,
    // The same file gives the same answers to the same seed, so its hash is the fingerprint.
    system_fingerprint: `fp_${model.card.fileSha256.slice(0, 12)}`,
  };
}

function usageOf({ promptTokens, completionTokens }: { promptTokens: number; completionTokens: number }): object {
  return {
    prompt_tokens: promptTokens,
    completion_tokens: completionTokens,
    total_tokens: promptTokens + completionTokens,
  };
}

function networkOf(run: Answering): object {
  return { taskId: run.taskId, nodes: run.nodeIds };
}
