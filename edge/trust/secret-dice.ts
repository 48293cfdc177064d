import type { Env } from "../env.ts";

const encoder = new TextEncoder();

/** The key of this isolate's deployment: making it costs more than using it. */
let imported: { secret: string; key: CryptoKey } | undefined;

/**
 * 32 bytes that only this deployment can tell: HMAC-SHA-256 over `text` with the audit secret, which is `AUDIT_SECRET` or
 * derived from the admin key. So no node can know what will be checked, and every isolate decides alike.
 */
export async function secretBytes(env: Pick<Env, "ADMIN_KEY" | "AUDIT_SECRET">, text: string): Promise<Uint8Array> {
  return hmac(await auditKey(env), text);
}

/** A number from 0 up to 1, of 53 bits, that only this deployment can tell. */
export async function secretNumber(env: Pick<Env, "ADMIN_KEY" | "AUDIT_SECRET">, text: string): Promise<number> {
  const bytes = await secretBytes(env, text);
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  return (view.getUint32(0) * 2 ** 21 + (view.getUint32(4) >>> 11)) / 2 ** 53;
}

/**
 * Numbers from 0 up to 1 for one purpose, the same ones each time. They begin at 128 secret bits and go on by sfc32
 * (Doty-Humphrey, PractRand): who sees some of them learns nothing of those for another purpose.
 */
export async function secretDice(env: Pick<Env, "ADMIN_KEY" | "AUDIT_SECRET">, purpose: string): Promise<() => number> {
  const bytes = await secretBytes(env, purpose);
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  let [a, b, c, counter] = [view.getInt32(0), view.getInt32(4), view.getInt32(8), view.getInt32(12)];
  return () => {
    const sum = (a + b + counter) | 0;
    counter = (counter + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = (((c << 21) | (c >>> 11)) + sum) | 0;
    return (sum >>> 0) / 2 ** 32;
  };
}

async function auditKey({ ADMIN_KEY, AUDIT_SECRET }: Pick<Env, "ADMIN_KEY" | "AUDIT_SECRET">): Promise<CryptoKey> {
  const secret = AUDIT_SECRET ?? ADMIN_KEY;
  if (imported?.secret === secret) return imported.key;
  const bytes =
    AUDIT_SECRET === undefined
      ? await hmac(await importKey(encoder.encode(ADMIN_KEY)), "cortensor-edge audit")
      : encoder.encode(AUDIT_SECRET);
  const key = await importKey(bytes);
  imported = { secret, key };
  return key;
}

function importKey(bytes: Uint8Array): Promise<CryptoKey> {
  return crypto.subtle.importKey("raw", Uint8Array.from(bytes), { name: "HMAC", hash: "SHA-256" }, false, ["sign"]);
}

async function hmac(key: CryptoKey, text: string): Promise<Uint8Array> {
  return new Uint8Array(await crypto.subtle.sign("HMAC", key, encoder.encode(text)));
}
