import { Refusal } from "../../core/refusal.ts";
import { errorBody, toRefusal } from "../errors.ts";
import type { ServedModel } from "../objects/status-object.ts";
import { sseResponse } from "../sse.ts";
import type { TaskRun } from "../task-run.ts";
import type { ChatOrder } from "./chat-request.ts";

/** The whole answer as OpenAI's `chat.completion` object. A node that fails on the way is replaced unseen. */
export async function wholeChatAnswer(run: TaskRun, model: ServedModel): Promise<Response> {
  let content = "";
  for await (const event of run.answer()) {
    if (event.type === "restart") content = "";
    else if (event.type === "delta") content += event.text ?? "";
    else {
      return Response.json({
        ...head(run, model, "chat.completion"),
        choices: [
          {
            index: 0,
            message: { role: "assistant", content, refusal: null },
            logprobs: null,
            finish_reason: event.finishReason,
          },
        ],
        usage: usageOf(event),
        network: networkOf(run),
      });
    }
  }
  // The caller is gone: nobody reads this.
  throw new Refusal({ code: "stream_broken", message: "The request was cancelled." });
}

/**
 * The answer as OpenAI's `chat.completion.chunk` events: the role at once, then text as it comes, the finish reason,
 * the counts if asked for, `[DONE]`. An error after the first chunk is an event of its own.
 */
export function streamedChatAnswer(
  run: TaskRun,
  { model, order, requestId }: { model: ServedModel; order: ChatOrder; requestId: string },
): Response {
  const shared = { ...head(run, model, "chat.completion.chunk"), ...(order.includeUsage ? { usage: null } : {}) };
  const chunk = (delta: object, finishReason: string | null = null) => ({
    ...shared,
    choices: [{ index: 0, delta, logprobs: null, finish_reason: finishReason }],
  });
  return sseResponse(
    async (writer) => {
      try {
        writer.data(chunk({ role: "assistant", content: "", refusal: null }));
        for await (const event of run.answer()) {
          if (event.type === "delta" && event.text) {
            run.delivered();
            writer.data(chunk({ content: event.text }));
          } else if (event.type === "end") {
            writer.data({ ...chunk({}, event.finishReason), network: networkOf(run) });
            if (order.includeUsage) writer.data({ ...shared, choices: [], usage: usageOf(event) });
          }
        }
      } catch (error) {
        writer.data(errorBody(toRefusal(error, requestId)));
        return;
      }
      writer.done();
    },
    { onGone: () => run.cancel() },
  );
}

function head(run: TaskRun, model: ServedModel, object: string): object {
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

function networkOf(run: TaskRun): object {
  return { taskId: run.taskId, nodes: run.nodeIds };
}
