/** The task asks for what this model cannot do: its own fault, unless only this node cannot. */
export class UnsupportedTaskError extends Error {
  override readonly name: string = "UnsupportedTaskError";
  /** The field of the request, in OpenAI's words, as `response_format`. */
  readonly param: string | undefined;
  /** True where another node that holds the same file may do it. */
  readonly isOnlyHere: boolean;

  constructor(
    message: string,
    { param, isOnlyHere = false, cause }: { param?: string; isOnlyHere?: boolean; cause?: unknown } = {},
  ) {
    super(message, { cause });
    this.param = param;
    this.isOnlyHere = isOnlyHere;
  }
}
