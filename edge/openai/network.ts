import { z } from "zod";
import { Refusal } from "../../core/refusal.ts";

/** How far an answer is to be trusted; the first is one node's word. */
const trustPolicies = ["single", "sampled", "checked", "consensus"] as const;

/** The network's own wishes, beside OpenAI's parameters; each is checked, and so far only the simplest are granted. */
export const networkSchema = z
  .strictObject(
    {
      trust: z.enum(trustPolicies).nullish(),
      confidence: z.number().min(0).max(1).nullish(),
      redundancy: z.int().min(1).max(16).nullish(),
      fanout: z.int().min(1).max(16).nullish(),
      aggregate: z.string().max(64).nullish(),
      session: z.string().max(256).nullish(),
      region: z.string().max(64).nullish(),
      maxPrice: z.union([z.number().nonnegative(), z.string().max(64)]).nullish(),
      private: z.boolean().nullish(),
      evidence: z.boolean().nullish(),
    },
    {
      error: (issue) => (issue.code === "unrecognized_keys" ? `there is no ${issue.keys.join(", ")} in it` : undefined),
    },
  )
  .nullish();

/** Refuses by name what of the network's wishes is not done yet. */
export function refuseNetworkWishes(network: z.output<typeof networkSchema>): void {
  for (const [name, value] of Object.entries(network ?? {})) {
    const asksForNothing = value == null || value === false || value === 1 || value === "single";
    if (asksForNothing) continue;
    const what = name === "trust" ? `The trust policy '${String(value)}'` : `'network.${name}'`;
    throw new Refusal({
      code: "unsupported_parameter",
      param: `network.${name}`,
      message: `${what} is not supported here yet, and nothing was run. Leave it out: the answer is one node's.`,
    });
  }
}
