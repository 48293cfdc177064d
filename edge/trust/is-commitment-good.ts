import { answerHead, vectorsHead } from "../../core/commitment/answer-chain.ts";
import { isCommitmentSigned } from "../../core/commitment/sign-commitment.ts";
import type { AuditOrder } from "./audit-order.ts";

/** Whether the last node stands by the very answer that came. */
export async function isCommitmentGood(order: AuditOrder): Promise<boolean> {
  const { taskId, card, commitment, tokenIds, vectors, finishReason, parts } = order;
  const last = parts.at(-1);
  // Nodes need not commit to vectors: they are made anew, not judged by what is said of them.
  if (commitment === null) return order.input.kind === "embedding";
  if (last === undefined) return false;
  const start = { taskId, model: card.fileSha256 };
  const head =
    order.input.kind === "embedding"
      ? await vectorsHead(start, vectors.map(bytesOf))
      : await answerHead(start, tokenIds);
  if (head !== commitment.head) return false;
  const { attemptId, promptTokens, publicKey } = last;
  return isCommitmentSigned(
    { ...start, attemptId, promptTokens, answerTokens: tokenIds.length, finishReason, head },
    { publicKey, signature: commitment.signature },
  );
}

function bytesOf(base64: string): Uint8Array {
  return Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
}
