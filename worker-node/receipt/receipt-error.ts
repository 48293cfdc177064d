/** Why a receipt cannot be checked, each with one thing to do about it. Closed. */
export type ReceiptErrorCode =
  | "unreadable"
  | "no_evidence"
  | "bad_evidence"
  | "model_missing"
  | "another_model"
  | "own_decoding"
  | "too_long";

/** The receipt says nothing for or against the answer: the message says why and what to do. */
export class ReceiptError extends Error {
  override readonly name = "ReceiptError";
  readonly code: ReceiptErrorCode;

  constructor(code: ReceiptErrorCode, message: string, options: { cause?: unknown } = {}) {
    super(message, options);
    this.code = code;
  }
}
