import { z } from "zod";

/** What a node stands by once its answer is whole. */
export const commitmentSchema = z.strictObject({
  /** Last link of the answer's chain (`answer-chain.ts`), SHA-256, base64url. */
  head: z.string().regex(/^[A-Za-z0-9_-]{43}$/),
  /** The node's Ed25519 signature over what `sign-commitment.ts` lists, base64url. */
  signature: z.string().regex(/^[A-Za-z0-9_-]{86}$/),
});
export type Commitment = z.infer<typeof commitmentSchema>;
