import { accountIdSchema, type NodeId } from "../../core/ids.ts";
import type { Ticket } from "../../core/node-pool/ticket.ts";
import type { ClaimRequest } from "./pool-calls.ts";

/** Whose a claim is that names no account. */
const noAccount = accountIdSchema.parse("nobody");
const noNodes: ReadonlySet<NodeId> = new Set();

/** The ticket of a claim, with what its pool decides for it. */
export function ticketOf(
  request: Omit<ClaimRequest, "waitMs" | "isPatient">,
  decided: Pick<Ticket, "expiresAtMs" | "isPatient">,
): Ticket {
  const { attemptId, accountId = noAccount, weight = 1, priority = 0, exclude, avoid = [], affinity = null } = request;
  const { excludeOperators = [], needs } = request;
  const named = {
    ...{ exclude: setOf(exclude), avoid: setOf(avoid) },
    ...(excludeOperators.length === 0 ? {} : { excludeOperators: new Set(excludeOperators) }),
    ...(needs === undefined ? {} : { needs }),
  };
  return { attemptId, accountId, weight, priority, affinity, ...named, ...decided };
}

/** Most claims name no node: they share one set. */
function setOf(nodeIds: readonly NodeId[]): ReadonlySet<NodeId> {
  return nodeIds.length === 0 ? noNodes : new Set(nodeIds);
}
