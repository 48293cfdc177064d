/**
 * Everything the network says no with. Closed, so that each code has one HTTP status (`edge/errors.ts`) and one
 * meaning on the wire; adding one is a change of the public surface.
 */
export const refusalCodes = [
  "missing_api_key",
  "invalid_api_key",
  "revoked_api_key",
  "invalid_admin_key",
  "not_found",
  "method_not_allowed",
  "model_not_found",
  "response_not_found",
  "file_not_found",
  "batch_not_found",
  "invalid_utf8",
  "invalid_json",
  "invalid_request",
  "invalid_value",
  "missing_required_parameter",
  "unsupported_parameter",
  "request_too_large",
  "prompt_too_large",
  "context_length_exceeded",
  "no_live_node",
  "no_free_node",
  "queue_full",
  "no_validator",
  "attempts_exhausted",
  "answer_rejected",
  "answer_unchecked",
  "stream_broken",
  "record_unavailable",
  "invalid_invite",
  "invalid_signature",
  "unsupported_protocol",
  "invalid_frame",
  "superseded",
  "suspended",
  "idle",
  "internal_error",
] as const;

export type RefusalCode = (typeof refusalCodes)[number];

export interface RefusalOptions {
  code: RefusalCode;
  /** One or two sentences for the caller: what is wrong and what to do. Never holds internals. */
  message: string;
  /** The request's field at fault, as a path (`messages[0].content`), where one is. */
  param?: string | undefined;
  /** Seconds after which the same request may work. */
  retryAfterSeconds?: number | undefined;
  /** For logs only. */
  detail?: string | undefined;
  cause?: unknown;
}

/** A no that the caller can act on. Broken invariants are plain `Error`s instead. */
export class Refusal extends Error {
  override readonly name = "Refusal";
  readonly code: RefusalCode;
  readonly param: string | undefined;
  readonly retryAfterSeconds: number | undefined;
  readonly detail: string | undefined;

  constructor({ code, message, param, retryAfterSeconds, detail, cause }: RefusalOptions) {
    super(message, { cause });
    this.code = code;
    this.param = param;
    this.retryAfterSeconds = retryAfterSeconds;
    this.detail = detail;
  }
}
