import { z } from "zod";
import { type AccountId, accountIdSchema, randomText } from "../ids.ts";

/**
 * Keys (`sk-…`) let an account call the API; invites (`inv-…`) let a node join as an account's own. Both carry
 * their account, so that one object per account can check them, and only their SHA-256 is ever stored: the
 * secret has 160 random bits, so a fast hash gives nothing away.
 */
export type SecretKind = "sk" | "inv";

const secretLength = 32;

/** A fresh secret of an account, as its owner will hold it. It is shown once and cannot be read back. */
export function newSecret(kind: SecretKind, accountId: AccountId): string {
  return `${kind}-${accountId}-${randomText(secretLength)}`;
}

export interface ParsedSecret {
  kind: SecretKind;
  accountId: AccountId;
  /** The whole text as given; what {@link hashSecret} takes. */
  text: string;
}

const secretShape = z.string().regex(new RegExp(`^(sk|inv)-[0-9a-z]{4,32}-[0-9a-z]{${secretLength}}$`));

/** The parts of a secret, or `undefined` where the text does not have its shape. Nothing is said of its validity. */
export function parseSecret(text: string): ParsedSecret | undefined {
  if (!secretShape.safeParse(text).success) return undefined;
  const [kind, account] = text.split("-");
  if (kind !== "sk" && kind !== "inv") return undefined;
  const accountId = accountIdSchema.safeParse(account);
  return accountId.success ? { kind, accountId: accountId.data, text } : undefined;
}

/** SHA-256 of a secret, lower-case hex, 64 characters. */
export async function hashSecret(text: string): Promise<string> {
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text));
  return Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, "0")).join("");
}
