/** The upstream failed a task or a question: unreachable, an error status, a broken or silent stream, a strange answer. */
export class UpstreamError extends Error {
  override readonly name = "UpstreamError";
  /** HTTP status of its answer; `undefined` where there was none. */
  readonly status: number | undefined;

  constructor(message: string, { status, cause }: { status?: number; cause?: unknown } = {}) {
    super(message, { cause });
    this.status = status;
  }
}

/** Why an upstream cannot be served from; found at start, closed. */
export type UpstreamRefusalCode =
  | "unreachable"
  | "unauthorized"
  | "not_openai"
  | "no_such_model"
  | "no_prompt_counts"
  | "no_token_ids"
  | "no_embeddings"
  | "another_file";

/** A no to an upstream that the node's owner can act on: the message says what is wrong and what to do. */
export class UpstreamRefusedError extends Error {
  override readonly name = "UpstreamRefusedError";
  readonly code: UpstreamRefusalCode;

  constructor(code: UpstreamRefusalCode, message: string, options: { cause?: unknown } = {}) {
    super(message, options);
    this.code = code;
  }
}
