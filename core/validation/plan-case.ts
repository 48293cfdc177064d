import type { AuditPlan } from "./audit-case.ts";

/** Throws the dice of a case; `random` is from the deployment's secret. */
export declare function planCase(random: () => number): AuditPlan;
