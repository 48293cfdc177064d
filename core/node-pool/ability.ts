import type { AccountId } from "../ids.ts";
import type { Member, Members } from "./members.ts";
import type { Ticket } from "./ticket.ts";

/**
 * What a node is good for: `own` answers by its own way of choosing tokens, which can be checked at temperature 0 alone,
 * and `plainValidator` checks such answers as well; the answers of `verifiable` can be checked at any temperature, and
 * `validator` checks all others' as well.
 */
export const abilities = ["own", "plainValidator", "verifiable", "validator"] as const;
export type Ability = (typeof abilities)[number];

/** What a member of each ability can be asked for. */
const includes: Readonly<Record<Ability, readonly Ability[]>> = {
  own: ["own"],
  plainValidator: ["own", "plainValidator"],
  verifiable: ["own", "verifiable"],
  validator: abilities,
};

/** True where a member can do what a ticket needs. */
export function isAble({ ability = "validator" }: Pick<Member, "ability">, { needs = "own" }: Pick<Ticket, "needs">) {
  return includes[ability].includes(needs);
}

/** True where a ticket never gets this member: by its name, by its operator's, or since it cannot do what is needed. */
export function isExcluded(member: Member, ticket: Pick<Ticket, "exclude" | "excludeOperators" | "needs">): boolean {
  if (ticket.exclude.has(member.nodeId)) return true;
  if (member.operator !== undefined && ticket.excludeOperators?.has(member.operator)) return true;
  return !isAble(member, ticket);
}

/**
 * True where an answer of these members could be checked by a node of another operator: one that answers verifiably,
 * and a validator that is not its operator's. Touches as many members as it takes to find two.
 */
export function isCheckable({ byOperator }: Members): boolean {
  const answering = new Set<AccountId>();
  let validating = 0;
  for (const [operator, members] of byOperator) {
    for (const member of members) {
      if (isAble(member, { needs: "verifiable" })) answering.add(operator);
      if (!isAble(member, { needs: "validator" })) continue;
      validating += 1;
      break;
    }
    // A validator answers verifiably too.
    if (answering.size >= 2 && validating >= 1) return true;
  }
  return false;
}
