import { Refusal, type RefusalCode } from "../../core/refusal.ts";
import type { Asked } from "../admit.ts";
import { errorBody, statusOfRefusal, toRefusal } from "../errors.ts";
import { invalidValue } from "../openai/invalid.ts";
import { answerResponses } from "../responses/serve-responses.ts";
import { answerChat, answerCompletions, answerEmbeddings } from "../serve.ts";
import type { BatchEndpoint } from "./batch-lines.ts";

/** What became of a line: its result, or that it is to be asked again. */
export type LineResult =
  | { kind: "completed" | "failed"; line: { response: object | null; error: object | null } }
  /** `isTry` where something went wrong, rather than that there was no room. */
  | { kind: "later"; isTry: boolean };

const answers: Readonly<Record<BatchEndpoint, (body: unknown, asked: Asked) => Promise<Response>>> = {
  "/v1/chat/completions": answerChat,
  "/v1/completions": answerCompletions,
  "/v1/embeddings": answerEmbeddings,
  "/v1/responses": answerResponses,
};

/** Refusals that say nothing of the line: there was no room for it. */
const noRoom: readonly RefusalCode[] = ["no_live_node", "no_free_node", "queue_full", "no_validator"];
/** How often a line is asked again after other faults of ours. */
const mostTries = 4;

/** Answers one line of a batch as its endpoint would. */
export async function answerLine(
  body: string,
  { endpoint, tries, asked }: { endpoint: BatchEndpoint; tries: number; asked: Asked },
): Promise<LineResult> {
  const { requestId } = asked;
  try {
    const request: unknown = JSON.parse(body);
    refuseStreams(request);
    const response = await answers[endpoint](request, asked);
    const answer = { status_code: response.status, request_id: requestId, body: await response.json() };
    return { kind: "completed", line: { response: answer, error: null } };
  } catch (error) {
    const refusal = toRefusal(error, requestId);
    if (noRoom.includes(refusal.code)) return { kind: "later", isTry: false };
    const status = statusOfRefusal(refusal);
    if (status >= 500 && tries < mostTries) return { kind: "later", isTry: true };
    const answer = { status_code: status, request_id: requestId, body: errorBody(refusal) };
    return { kind: "failed", line: { response: answer, error: null } };
  }
}

function refuseStreams(request: unknown): void {
  if (typeof request !== "object" || request === null) {
    throw new Refusal({ code: "invalid_request", message: "The body must be one JSON object." });
  }
  if ("stream" in request && request.stream === true) {
    throw invalidValue("stream", "a batch's answers are not streamed");
  }
  if ("background" in request && request.background === true) {
    throw invalidValue("background", "a batch's answers are made in the background anyway");
  }
}
