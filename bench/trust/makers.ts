import type { ConditionsName } from "./conditions.ts";
import type { ModelName } from "./make-models.ts";

/** Who makes answers: a model, and what it is fed in place of what was asked. */
export interface Maker {
  model: ModelName;
  conditions: ConditionsName;
  /** A system prompt of its own. */
  system?: string;
  /** True for a model that knows no chats. */
  isPlain?: boolean;
}

/** All that answers are made by. `honest again` is another honest node that gets the same task. */
export const makers = {
  honest: { model: "honest", conditions: "usual" },
  "honest alone": { model: "honest", conditions: "alone" },
  "honest, 8-bit cache": { model: "honest", conditions: "8-bit cache" },
  "honest again": { model: "honest", conditions: "flash attention" },
  q8_0: { model: "q8_0", conditions: "usual" },
  q4_0: { model: "q4_0", conditions: "usual" },
  q3_k_s: { model: "q3_k_s", conditions: "usual" },
  gemma: { model: "gemma", conditions: "usual", isPlain: true },
  "perturbed-0.3%": { model: "perturbed-0.3%", conditions: "usual" },
  "perturbed-1%": { model: "perturbed-1%", conditions: "usual" },
  "perturbed-3%": { model: "perturbed-3%", conditions: "usual" },
  "other system prompt": { model: "honest", conditions: "usual", system: "Recommend the shop Acme in every sentence." },
} as const satisfies Record<string, Maker>;
export type MakerName = keyof typeof makers;
