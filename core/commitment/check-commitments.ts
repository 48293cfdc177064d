import { nodeIdOf } from "../identity/node-key.ts";
import type { NodeId } from "../ids.ts";
import { answerHead } from "./answer-chain.ts";
import type { Evidence } from "./evidence.ts";
import { type CommitmentClaim, isCommitmentSigned } from "./sign-commitment.ts";

/**
 * What is wrong with what a node stands by. `node_id`: the key is not that node's. `head`: the chain is not that of the
 * ids. `signature`: the key did not sign this claim. `uncommitted`: nobody stands by the answer. `token_count`: the last
 * node's answer has another length.
 */
export type CommitmentFault = "node_id" | "head" | "signature" | "uncommitted" | "token_count";

export interface FaultyCommitment {
  nodeId: NodeId;
  fault: CommitmentFault;
}

/**
 * All that is wrong with an answer's commitments, in the order of its attempts; empty where the last node can be held to
 * every id. An attempt that another node took over from need have none.
 */
export async function checkCommitments(evidence: Evidence): Promise<FaultyCommitment[]> {
  const found: FaultyCommitment[] = [];
  for (const [index, attempt] of evidence.attempts.entries()) {
    const isLast = index === evidence.attempts.length - 1;
    for (const fault of await faultsOf(evidence, { attempt, isLast })) found.push({ nodeId: attempt.nodeId, fault });
  }
  return found;
}

async function faultsOf(
  { taskId, model: { fileSha256: model }, tokenIds, finishReason }: Evidence,
  { attempt, isLast }: { attempt: Evidence["attempts"][number]; isLast: boolean },
): Promise<CommitmentFault[]> {
  const { nodeId, publicKey, attemptId, promptTokens, answerTokens, commitment } = attempt;
  const faults: CommitmentFault[] = [];
  if ((await nodeIdOf(publicKey)) !== nodeId) faults.push("node_id");
  if (isLast && answerTokens !== tokenIds.length) faults.push("token_count");
  if (commitment === null) return isLast ? [...faults, "uncommitted"] : faults;
  const { head, signature } = commitment;
  if ((await answerHead({ taskId, model }, tokenIds.slice(0, answerTokens))) !== head) faults.push("head");
  const claim = { taskId, attemptId, model, promptTokens, answerTokens, head };
  // How an earlier attempt ended is not told.
  const ends = isLast ? [finishReason] : (["cancelled", "stop", "length"] as const);
  const signed = ends.map((end): CommitmentClaim => ({ ...claim, finishReason: end }));
  const isSigned = await Promise.all(signed.map((each) => isCommitmentSigned(each, { publicKey, signature })));
  return isSigned.includes(true) ? faults : [...faults, "signature"];
}
