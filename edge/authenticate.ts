import { hashSecret, parseSecret } from "../core/access/secret.ts";
import type { AccountId, KeyId } from "../core/ids.ts";
import { Refusal } from "../core/refusal.ts";
import { askAgain } from "./ask-again.ts";
import type { Env } from "./env.ts";
import type { KeyCheck } from "./objects/account-object.ts";

/** Who asks. */
export interface Principal {
  accountId: AccountId;
  keyId: KeyId;
}

/** How long a router honours a key without asking its account again; revocation is effective within this time. */
export const keyCacheMs = 15_000;
const cacheEntries = 10_000;

/** Longest header that is remembered; a key is far shorter. */
const headerCharacters = 200;

/**
 * Authorization headers found valid by this isolate, as they were sent: hashing the key again for each request would
 * cost more than the rest of its check. A cache: losing it costs one question to the account's object.
 */
const validUntil = new Map<string, { principal: Principal; untilMs: number }>();

/**
 * The principal of a request's `Authorization: Bearer sk-…`. Refuses with `missing_api_key`, `invalid_api_key` or
 * `revoked_api_key`; a key that never was and one of another deployment look alike.
 */
export async function authenticate(request: Request, env: Env): Promise<Principal> {
  const header = credentialsOf(request);
  const cached = validUntil.get(header);
  if (cached !== undefined && cached.untilMs > Date.now()) return cached.principal;
  validUntil.delete(header);
  const secret = parseSecret(bearerToken(header));
  if (secret?.kind !== "sk") throw invalidKey();
  const secretSha256 = await hashSecret(secret.text);
  const check = await askAgain<KeyCheck>(() =>
    env.ACCOUNT.get(env.ACCOUNT.idFromName(secret.accountId)).checkKey(secretSha256),
  );
  if (check.kind === "unknown") throw invalidKey();
  if (check.kind === "revoked") {
    throw new Refusal({
      code: "revoked_api_key",
      message: "This API key was revoked. Use another key, or ask the deployment's admin for one.",
    });
  }
  const principal = { accountId: secret.accountId, keyId: check.keyId };
  if (validUntil.size >= cacheEntries) validUntil.clear();
  if (header.length <= headerCharacters) validUntil.set(header, { principal, untilMs: Date.now() + keyCacheMs });
  return principal;
}

/** True where the request carries the deployment's admin key. Refuses with `missing_api_key` where it carries none. */
export async function isAdmin(request: Request, env: Env): Promise<boolean> {
  // Hashes of equal length are compared in constant time, so that timing tells nothing of the key.
  const encoder = new TextEncoder();
  const [given, held] = await Promise.all(
    [bearerToken(credentialsOf(request)), env.ADMIN_KEY].map((text) =>
      crypto.subtle.digest("SHA-256", encoder.encode(text)),
    ),
  );
  return given !== undefined && held !== undefined && crypto.subtle.timingSafeEqual(given, held);
}

/** Refuses unless the request carries the deployment's admin key (`invalid_admin_key`). */
export async function authenticateAdmin(request: Request, env: Env): Promise<void> {
  if (await isAdmin(request, env)) return;
  throw new Refusal({
    code: "invalid_admin_key",
    message: "This needs the deployment's admin key: send it as Authorization: Bearer <ADMIN_KEY>.",
  });
}

/** The `Authorization` header, or what it would be where the key came as Anthropic's clients send it; never both. */
function credentialsOf(request: Request): string {
  const header = request.headers.get("authorization")?.trim() ?? "";
  const apiKey = request.headers.get("x-api-key")?.trim() ?? "";
  if (apiKey === "") return header;
  if (header === "" || header === `Bearer ${apiKey}`) return `Bearer ${apiKey}`;
  throw new Refusal({
    code: "invalid_api_key",
    message: "You gave two keys, in Authorization and in X-Api-Key. Send one of them.",
  });
}

function bearerToken(header: string): string {
  if (header === "") {
    throw new Refusal({
      code: "missing_api_key",
      message: "You did not give an API key. Send it as a header: Authorization: Bearer sk-…",
    });
  }
  return /^Bearer +(\S+)$/i.exec(header)?.[1] ?? "";
}

function invalidKey(): Refusal {
  return new Refusal({
    code: "invalid_api_key",
    message:
      "This API key is not known here. Send one whole key, as the deployment's admin gave it: Authorization: Bearer sk-…",
  });
}
