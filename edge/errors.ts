import { Refusal, type RefusalCode } from "../core/refusal.ts";

/** OpenAI's words for kinds of errors. */
type ErrorType =
  | "invalid_request_error"
  | "authentication_error"
  | "not_found_error"
  | "rate_limit_error"
  | "service_unavailable_error"
  | "server_error";

/** The one place that knows HTTP statuses. Every code has exactly one. */
const statusOf: Record<RefusalCode, readonly [status: number, type: ErrorType]> = {
  missing_api_key: [401, "authentication_error"],
  invalid_api_key: [401, "authentication_error"],
  revoked_api_key: [401, "authentication_error"],
  invalid_admin_key: [401, "authentication_error"],
  not_found: [404, "not_found_error"],
  method_not_allowed: [405, "invalid_request_error"],
  model_not_found: [404, "not_found_error"],
  response_not_found: [404, "not_found_error"],
  file_not_found: [404, "not_found_error"],
  batch_not_found: [404, "not_found_error"],
  invalid_utf8: [400, "invalid_request_error"],
  invalid_json: [400, "invalid_request_error"],
  invalid_request: [400, "invalid_request_error"],
  invalid_value: [400, "invalid_request_error"],
  missing_required_parameter: [400, "invalid_request_error"],
  unsupported_parameter: [400, "invalid_request_error"],
  request_too_large: [413, "invalid_request_error"],
  prompt_too_large: [400, "invalid_request_error"],
  context_length_exceeded: [400, "invalid_request_error"],
  no_live_node: [503, "service_unavailable_error"],
  no_free_node: [503, "service_unavailable_error"],
  queue_full: [503, "service_unavailable_error"],
  no_validator: [503, "service_unavailable_error"],
  attempts_exhausted: [503, "service_unavailable_error"],
  answer_rejected: [502, "server_error"],
  answer_unchecked: [503, "service_unavailable_error"],
  stream_broken: [502, "server_error"],
  record_unavailable: [503, "service_unavailable_error"],
  invalid_invite: [403, "authentication_error"],
  invalid_signature: [403, "authentication_error"],
  unsupported_protocol: [400, "invalid_request_error"],
  invalid_frame: [400, "invalid_request_error"],
  superseded: [409, "invalid_request_error"],
  suspended: [403, "authentication_error"],
  idle: [408, "invalid_request_error"],
  internal_error: [500, "server_error"],
};

/** Seconds to wait where the refusal does not say: a node that restarts is back in about this time. */
const retryAfterSeconds = 5;

/** OpenAI's error envelope. `param` and `code` are always there, null where they do not apply. */
export interface ErrorBody {
  error: { message: string; type: ErrorType; param: string | null; code: RefusalCode };
}

/** A refusal as OpenAI's clients read it. */
export function errorBody(refusal: Refusal): ErrorBody {
  const [, type] = statusOf[refusal.code];
  return { error: { message: refusal.message, type, param: refusal.param ?? null, code: refusal.code } };
}

/** A refusal as a response with these further headers. */
export function errorResponse(refusal: Refusal, extraHeaders: Readonly<Record<string, string>> = {}): Response {
  return Response.json(errorBody(refusal), {
    status: statusOfRefusal(refusal),
    headers: headersOf(refusal, extraHeaders),
  });
}

export function statusOfRefusal({ code }: Refusal): number {
  return statusOfCode(code);
}

export function statusOfCode(code: RefusalCode): number {
  return statusOf[code][0];
}

/** A refusal's headers besides these; a 503 always says when to come back. */
export function headersOf(refusal: Refusal, extraHeaders: Readonly<Record<string, string>>): Headers {
  const headers = new Headers(extraHeaders);
  if (statusOfRefusal(refusal) === 503) {
    headers.set("retry-after", String(refusal.retryAfterSeconds ?? retryAfterSeconds));
  }
  return headers;
}

/** Any thrown thing as a refusal. What is not one is a bug: it is logged whole, and the caller learns only that it is ours. */
export function toRefusal(error: unknown, requestId: string): Refusal {
  if (error instanceof Refusal) return error;
  console.error("edge: a request failed by our own fault", {
    requestId,
    error: error instanceof Error ? (error.stack ?? error.message) : String(error),
  });
  return new Refusal({
    code: "internal_error",
    message: `Something went wrong on our side. Try again; if it stays, tell the operator this request id: ${requestId}.`,
    cause: error,
  });
}
