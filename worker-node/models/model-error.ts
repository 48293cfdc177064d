/** Everything that can go wrong with a model file, each with one thing to do about it. Closed; callers branch on it. */
export const modelErrorCodes = [
  "unknown_model",
  "not_pulled",
  "file_missing",
  "changed_on_disk",
  "not_gguf",
  "truncated",
  "unsupported",
  "invalid_name",
  "name_taken",
  "broken_record",
  "cancelled",
  "hash_mismatch",
  "source_unreachable",
  "python_missing",
  "bad_source_file",
  "disk_full",
  "permission_denied",
] as const;

export type ModelErrorCode = (typeof modelErrorCodes)[number];

/** A no about a model file that the node's owner can act on: the message says what is wrong and what to do. */
export class ModelError extends Error {
  override readonly name = "ModelError";
  readonly code: ModelErrorCode;

  constructor(code: ModelErrorCode, message: string, options: { cause?: unknown } = {}) {
    super(message, options);
    this.code = code;
  }
}

/** The `code` of a failed system call, as `ENOSPC`; `undefined` for anything else. */
export function systemErrorCode(cause: unknown): string | undefined {
  return cause instanceof Error && "code" in cause && typeof cause.code === "string" ? cause.code : undefined;
}

/**
 * What a failed system call on `path` means to the owner: `disk_full`, `permission_denied` or `file_missing` as a
 * {@link ModelError}; anything else comes back as it was, to be thrown on.
 */
export function explainFileError(cause: unknown, path: string): unknown {
  switch (systemErrorCode(cause)) {
    case "ENOSPC":
    case "EDQUOT":
      return new ModelError(
        "disk_full",
        `The disk is full: ${path} cannot be written. Free some space and try again.`,
        {
          cause,
        },
      );
    case "EACCES":
    case "EPERM":
    case "EROFS":
      return new ModelError(
        "permission_denied",
        `No permission for ${path}. Change its owner, or choose another cache with CORTENSOR_CACHE.`,
        { cause },
      );
    case "ENOENT":
    case "ENOTDIR":
    case "EISDIR":
      return new ModelError("file_missing", `There is no file ${path}. Check the path.`, { cause });
    default:
      return cause;
  }
}
