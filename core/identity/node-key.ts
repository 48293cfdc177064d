import { base32, type NodeId, nodeIdSchema } from "../ids.ts";

/**
 * A node's identity is an Ed25519 key (RFC 8032) that it draws itself; keys and signatures travel as base64url.
 * Its id is a hash of the public key, so an id cannot be taken by another key.
 */
export interface NodeKeyPair {
  /** Raw public key, 32 bytes, base64url. */
  publicKey: string;
  /** PKCS #8, base64url; never leaves the node. */
  privateKey: string;
}

/** A fresh key pair from the platform's random source. */
export async function newNodeKey(): Promise<NodeKeyPair> {
  const pair = await crypto.subtle.generateKey("Ed25519", true, ["sign", "verify"]);
  if (!("publicKey" in pair)) throw new Error("Ed25519 gave a single key instead of a pair");
  return {
    publicKey: toBase64Url(await exported("raw", pair.publicKey)),
    privateKey: toBase64Url(await exported("pkcs8", pair.privateKey)),
  };
}

/** The id that belongs to a public key: `node_` and 32 base32 characters (160 bits) of its SHA-256. */
export async function nodeIdOf(publicKey: string): Promise<NodeId> {
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", fromBase64Url(publicKey)));
  return nodeIdSchema.parse(`node_${base32(digest).slice(0, 32)}`);
}

/** What a `hello` signs. The router's host stands in it, so a hello given to one router opens no other. */
export interface HelloClaim {
  nodeId: NodeId;
  /** The router's nonce from `challenge`. */
  nonce: string;
  /** Host (and port) of the router as the node dialled it. */
  host: string;
}

/** Signature of a hello, base64url, 64 bytes. */
export async function signHello(claim: HelloClaim, privateKey: string): Promise<string> {
  const key = await crypto.subtle.importKey("pkcs8", fromBase64Url(privateKey), "Ed25519", false, ["sign"]);
  return toBase64Url(new Uint8Array(await crypto.subtle.sign("Ed25519", key, helloBytes(claim))));
}

/** True if `signature` over `claim` was made by `publicKey`. False, never a throw, for malformed input. */
export async function isHelloSigned(
  claim: HelloClaim,
  { publicKey, signature }: { publicKey: string; signature: string },
): Promise<boolean> {
  const keyBytes = fromBase64Url(publicKey);
  if (keyBytes.length !== 32) return false;
  const key = await crypto.subtle.importKey("raw", keyBytes, "Ed25519", false, ["verify"]);
  return crypto.subtle.verify("Ed25519", key, fromBase64Url(signature), helloBytes(claim));
}

function helloBytes({ nodeId, nonce, host }: HelloClaim): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(new TextEncoder().encode(["cortensor-edge hello 1", host, nodeId, nonce].join("\n")));
}

async function exported(
  format: "raw" | "pkcs8",
  key: Parameters<typeof crypto.subtle.exportKey>[1],
): Promise<Uint8Array> {
  const bytes = await crypto.subtle.exportKey(format, key);
  if (!(bytes instanceof ArrayBuffer)) throw new Error(`A key exported as ${format} was not bytes`);
  return new Uint8Array(bytes);
}

/** Bytes as base64url without padding (RFC 4648 §5). */
export function toBase64Url(bytes: Uint8Array): string {
  let binary = "";
  for (const byte of bytes) binary += String.fromCharCode(byte);
  return btoa(binary).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

/** The bytes of base64url text; empty where the text is not base64url. */
export function fromBase64Url(text: string): Uint8Array<ArrayBuffer> {
  if (!/^[A-Za-z0-9_-]*$/.test(text) || text.length % 4 === 1) return new Uint8Array();
  return Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (character) => character.charCodeAt(0));
}
