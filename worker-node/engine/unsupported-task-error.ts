/** The task asks for what this model cannot do, and no other node that holds the same file could: its own fault. */
export class UnsupportedTaskError extends Error {
  override readonly name: string = "UnsupportedTaskError";
  /** The field of the request, in OpenAI's words, as `response_format`. */
  readonly param: string | undefined;

  constructor(message: string, { param, cause }: { param?: string; cause?: unknown } = {}) {
    super(message, { cause });
    this.param = param;
  }
}
