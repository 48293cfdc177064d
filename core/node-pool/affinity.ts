import type { NodeId } from "../ids.ts";
import { type Chain, type Chained, chainAppend, chainRemove, emptyChain } from "./chain.ts";

/** Conversations whose node is remembered; those that were not heard of for longest are forgotten first. */
export const rememberedConversations = 10_000;

interface Remembered extends Chained<Remembered> {
  key: string;
  nodeId: NodeId;
}

/** Which node has a conversation's prefix in its cache: the one that had its last turn. */
export interface Affinity {
  readonly byKey: Map<string, Remembered>;
  /** Longest unheard of first. */
  readonly order: Chain<Remembered>;
}

/** Nothing remembered. */
export function emptyAffinity(): Affinity {
  return { byKey: new Map(), order: emptyChain() };
}

/** The node of a conversation's last turn; `undefined` where that is not known. */
export function nodeOfConversation(affinity: Affinity, key: string): NodeId | undefined {
  return affinity.byKey.get(key)?.nodeId;
}

/** A conversation's turn went to this node. Forgets the one that was not heard of for longest where there are too many. */
export function rememberConversation(affinity: Affinity, key: string, nodeId: NodeId): void {
  const known = affinity.byKey.get(key);
  if (known !== undefined) {
    chainRemove(affinity.order, known);
    chainAppend(affinity.order, known);
    known.nodeId = nodeId;
    return;
  }
  const oldest = affinity.order.first;
  if (oldest !== undefined && affinity.byKey.size >= rememberedConversations) {
    chainRemove(affinity.order, oldest);
    affinity.byKey.delete(oldest.key);
  }
  const remembered: Remembered = { key, nodeId, previous: undefined, next: undefined };
  affinity.byKey.set(key, remembered);
  chainAppend(affinity.order, remembered);
}
