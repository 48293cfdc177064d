import type { Refusal } from "../../core/refusal.ts";
import { headersOf, statusOfRefusal } from "../errors.ts";

/** Anthropic's words for kinds of errors, by HTTP status. */
const types: Readonly<Record<number, string>> = {
  400: "invalid_request_error",
  401: "authentication_error",
  403: "permission_error",
  404: "not_found_error",
  405: "invalid_request_error",
  413: "request_too_large",
  429: "rate_limit_error",
  503: "overloaded_error",
};

/** A refusal in Anthropic's envelope; the field at fault, which it has no place for, is in the message. */
export function messageErrorBody(refusal: Refusal, requestId: string): object {
  const type = types[statusOfRefusal(refusal)] ?? "api_error";
  return { type: "error", error: { type, message: refusal.message }, request_id: requestId };
}

export function messageErrorResponse(
  refusal: Refusal,
  { requestId, headers }: { requestId: string; headers: Readonly<Record<string, string>> },
): Response {
  const status = statusOfRefusal(refusal);
  return Response.json(messageErrorBody(refusal, requestId), { status, headers: headersOf(refusal, headers) });
}
