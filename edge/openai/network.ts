import { z } from "zod";
import { Refusal } from "../../core/refusal.ts";
import { type TrustPolicy, trustPolicies } from "../trust/trust-policy.ts";

/** The network's own wishes, beside OpenAI's parameters; each is checked, and those that are not done yet are refused. */
export const networkSchema = z
  .strictObject(
    {
      trust: z.enum([...trustPolicies, "consensus"]).nullish(),
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

/** The model that a request asks for, and what it says of trust; `trust` is absent where it says nothing. */
export interface NetworkWishes {
  model: string;
  trust?: TrustPolicy;
  wantsEvidence: boolean;
}

/** Which of the network's wishes an API grants besides `trust`. */
const granted = { evidence: ["evidence"], none: [] } as const;

/**
 * A request's wishes: `network.trust`, else the model's suffix (`model:checked`). Refuses by name what is not done yet.
 */
export function networkWishes(
  { model, network }: { model: string; network?: z.output<typeof networkSchema> },
  { grants }: { grants: keyof typeof granted } = { grants: "evidence" },
): NetworkWishes {
  for (const [name, value] of Object.entries(network ?? {})) {
    const asksForNothing = value == null || value === false || value === 1;
    const isGranted = granted[grants].some((each) => each === name) || (name === "trust" && value !== "consensus");
    if (asksForNothing || isGranted) continue;
    throw unsupported(
      name === "trust" ? `The trust policy '${String(value)}'` : `'network.${name}'`,
      `network.${name}`,
    );
  }
  const [, name = model, suffix] = /^(.+):(single|sampled|checked|consensus)$/.exec(model) ?? [];
  if (suffix === "consensus") throw unsupported("The trust policy 'consensus'", "model");
  const trust = trustOf(network?.trust) ?? trustOf(suffix);
  return { model: name, ...(trust === undefined ? {} : { trust }), wantsEvidence: network?.evidence ?? false };
}

/** The policy of the header `x-network-trust`, which counts where the body names none; `undefined` without it. */
export function trustHeader(headers: Headers): TrustPolicy | undefined {
  const said = headers.get("x-network-trust");
  if (said === null) return undefined;
  if (said === "consensus") throw unsupported("The trust policy 'consensus'", "x-network-trust");
  const trust = trustOf(said);
  if (trust !== undefined) return trust;
  throw new Refusal({
    code: "invalid_value",
    param: "x-network-trust",
    message: `The header x-network-trust must be ${trustPolicies.join(", ")}.`,
  });
}

function trustOf(said: string | null | undefined): TrustPolicy | undefined {
  return trustPolicies.find((policy) => policy === said);
}

function unsupported(what: string, param: string): Refusal {
  return new Refusal({
    code: "unsupported_parameter",
    param,
    message: `${what} is not supported here yet, and nothing was run. Leave it out, or choose ${trustPolicies.join(", ")}.`,
  });
}
