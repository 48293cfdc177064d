import type { AccountId, AttemptId, NodeId } from "../ids.ts";
import type { Ability } from "./ability.ts";

/** A request that wants a node. It names no prompt: only who it is, whose it is, and whom it does not want. */
export interface Ticket {
  attemptId: AttemptId;
  accountId: AccountId;
  /** Its account's share of the places beside others', above 0; 1 where nothing is said. */
  weight?: number;
  /** Higher ones come first, whatever the accounts: a whole number from {@link priorities}; 0 where nothing is said. */
  priority?: number;
  /** Never these. */
  exclude: ReadonlySet<NodeId>;
  /** Never a node of these; absent is nobody's. */
  excludeOperators?: ReadonlySet<AccountId>;
  /** What its node must be able to do; absent is the least. */
  needs?: Ability;
  /** These only where nobody else lives who could ever serve it: nodes whose socket broke under this task. */
  avoid: ReadonlySet<NodeId>;
  /** The conversation it belongs to; null where it belongs to none. */
  affinity: string | null;
  /** A task under way: it waits for a node to come rather than be told at once that none lives. */
  isPatient: boolean;
  /** When it has waited long enough, milliseconds since the epoch. */
  expiresAtMs: number;
}

/** What a ticket's priority may be; one beyond is taken as the nearest. So there are 17 classes at most. */
export const priorities = { lowest: -8, highest: 8 } as const;

/** A ticket's priority as it counts: whole, and within {@link priorities}. */
export function priorityOf({ priority = 0 }: Pick<Ticket, "priority">): number {
  return Math.round(Math.min(priorities.highest, Math.max(priorities.lowest, priority)));
}

/** A smaller weight counts as this, so that no ticket of an account puts off its next one without end. */
export const leastWeight = 0.01;
