import type { NodeId } from "../../core/ids.ts";
import type { NodePool } from "../../core/node-pool/node-pool.ts";

/** Nodes that are asked at once: each answer is a call to the pool, which goes on giving out places meanwhile. */
export const batchNodes = 64;
/** Nodes that are asked in all, within what one event may call; the others speak by themselves before long. */
export const askedNodes = 15 * batchNodes;

/**
 * Asks the objects of those members whose room is a guess, since their pool was reset, for their own word. They give it
 * by offering as they always do. In random order, so that a pool that is reset again and again hears of all in the end.
 * Resolves when all were asked; one that does not answer stays a guess until it speaks or is too long silent.
 */
export async function askMembers(pool: NodePool, ask: (nodeId: NodeId) => Promise<void>): Promise<void> {
  const isGuess = (nodeId: NodeId) => pool.members.byId.get(nodeId)?.isGuess === true;
  const nodeIds = shuffled([...pool.members.byId.keys()].filter(isGuess)).slice(0, askedNodes);
  for (let begin = 0; begin < nodeIds.length; begin += batchNodes) {
    // Some will have spoken by themselves by now.
    const asked = nodeIds.slice(begin, begin + batchNodes).filter(isGuess);
    const answers = await Promise.allSettled(asked.map((nodeId) => ask(nodeId)));
    const [failure, ...others] = answers.filter((answer) => answer.status === "rejected");
    if (failure === undefined) continue;
    const error = String(failure.reason);
    console.warn("pool: nodes did not say what room they have", { nodes: others.length + 1, error });
  }
}

/** The same ids in random order (Fisher and Yates). */
function shuffled(nodeIds: NodeId[]): NodeId[] {
  for (let end = nodeIds.length - 1; end > 0; end -= 1) {
    const place = Math.floor(Math.random() * (end + 1));
    const [last, chosen] = [nodeIds[end], nodeIds[place]];
    if (last === undefined || chosen === undefined) throw new Error("a list of ids has a hole");
    nodeIds[end] = chosen;
    nodeIds[place] = last;
  }
  return nodeIds;
}
