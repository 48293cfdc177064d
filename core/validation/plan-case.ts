import type { AuditPlan } from "./audit-case.ts";

/** Shares of cases; both cost one check, a probe a second one where it is missed. */
const secondShare = 0.05;
const probeShare = 0.1;

/**
 * Throws the dice of a case: whether a good word is confirmed by a second operator, which finds those who let each
 * other's cheating pass, and whether a validator is tested afterwards, which finds those who do not read. `random` is
 * from the deployment's secret: who could foresee it would know when to be careful.
 */
export function planCase(random: () => number): AuditPlan {
  return { wantsSecond: random() < secondShare, wantsProbe: random() < probeShare };
}
