import { fromBase64Url, toBase64Url } from "../identity/node-key.ts";
import type { AttemptId, ModelHash, TaskId } from "../ids.ts";

/** What a node signs at its answer's end. */
export interface CommitmentClaim {
  taskId: TaskId;
  attemptId: AttemptId;
  model: ModelHash;
  promptTokens: number;
  /** Of the whole answer, tokens of earlier attempts included. */
  answerTokens: number;
  finishReason: "stop" | "length" | "cancelled";
  /** Last link of the answer's chain, base64url. */
  head: string;
}

/** Signature of a commitment, Ed25519, base64url, 64 bytes; `privateKey` is PKCS #8, base64url. */
export async function signCommitment(claim: CommitmentClaim, privateKey: string): Promise<string> {
  const key = await crypto.subtle.importKey("pkcs8", fromBase64Url(privateKey), "Ed25519", false, ["sign"]);
  return toBase64Url(new Uint8Array(await crypto.subtle.sign("Ed25519", key, commitmentBytes(claim))));
}

/** True if `signature` over `claim` was made by `publicKey`. False, never a throw, for malformed input. */
export async function isCommitmentSigned(
  claim: CommitmentClaim,
  { publicKey, signature }: { publicKey: string; signature: string },
): Promise<boolean> {
  const keyBytes = fromBase64Url(publicKey);
  if (keyBytes.length !== 32) return false;
  const key = await crypto.subtle.importKey("raw", keyBytes, "Ed25519", false, ["verify"]);
  return crypto.subtle.verify("Ed25519", key, fromBase64Url(signature), commitmentBytes(claim));
}

/** What is signed: the lines that docs/WIRE.md lists, a line feed between each. */
export function commitmentBytes(claim: CommitmentClaim): Uint8Array<ArrayBuffer> {
  const { taskId, attemptId, model, promptTokens, answerTokens, finishReason, head } = claim;
  const lines = [
    "cortensor-edge commitment 1",
    taskId,
    attemptId,
    model,
    promptTokens,
    answerTokens,
    finishReason,
    head,
  ];
  return Uint8Array.from(new TextEncoder().encode(lines.join("\n")));
}
