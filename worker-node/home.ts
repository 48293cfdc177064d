import { chmodSync, existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { z } from "zod";
import { isHelloSigned, type NodeKeyPair, newNodeKey, nodeIdOf, signHello } from "../core/identity/node-key.ts";

/** Where a node keeps what is its own: key, status, logs. One home a node. `$CORTENSOR_HOME`, else `~/.cortensor`. */
export function defaultHomeDir(): string {
  return process.env.CORTENSOR_HOME || join(homedir(), ".cortensor");
}

const keyFileSchema = z.strictObject({ publicKey: z.string(), privateKey: z.string() });

/** A file of the home is not what this node once wrote. The message says what to do. */
export class BrokenHomeError extends Error {
  override readonly name = "BrokenHomeError";
}

/**
 * The node's key from `<home>/node-key.json`, drawn at the first call. The file is the node's identity: only its owner
 * may read it. Throws {@link BrokenHomeError} for a file that holds no key, or halves of two.
 */
export async function loadNodeKey(homeDir: string): Promise<NodeKeyPair> {
  const path = join(homeDir, "node-key.json");
  if (existsSync(path)) {
    const parsed = keyFileSchema.safeParse(jsonOf(readFileSync(path, "utf8")));
    if (parsed.success && (await isPair(parsed.data))) return parsed.data;
    throw new BrokenHomeError(
      `${path} is not a node key. Restore it from a backup, or move it away to draw a new identity.`,
    );
  }
  mkdirSync(homeDir, { recursive: true, mode: 0o700 });
  const key = await newNodeKey();
  writeAtomically(path, JSON.stringify(key, null, 2), 0o600);
  return key;
}

/** True where what the private key signs is what the public key verifies. */
async function isPair(key: NodeKeyPair): Promise<boolean> {
  const claim = { nodeId: await nodeIdOf(key.publicKey), nonce: "", host: "" };
  try {
    const signature = await signHello(claim, key.privateKey);
    return await isHelloSigned(claim, { publicKey: key.publicKey, signature });
  } catch {
    // The platform takes no such private key, which is the answer.
    return false;
  }
}

/** The value of JSON text; `undefined` where it is none. */
export function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Writes a file so that a reader, or a crash, sees the old text or the new, never a part. */
export function writeAtomically(path: string, text: string, mode = 0o644): void {
  const draft = `${path}.${process.pid}.part`;
  writeFileSync(draft, text, { mode });
  chmodSync(draft, mode);
  renameSync(draft, path);
}
