import { toBase64Url } from "../identity/node-key.ts";
import type { ModelHash, TaskId } from "../ids.ts";

/** Whose answer a chain is of: it is worth nothing for another task or another model file. */
export interface ChainStart {
  taskId: TaskId;
  model: ModelHash;
}

/**
 * The last link of the chain over an answer's token ids, SHA-256, base64url, 43 characters.
 *
 * The first link is SHA-256 of the ASCII text "cortensor-edge answer 1", the task's id and the model's hash, each after
 * a line feed; every token adds one: SHA-256 of the link before and the id as four bytes, little-endian. So each
 * beginning of an answer has its link whatever pieces it travelled in, and a node that goes on with another's answer
 * goes on with its chain. For no ids it is the first link.
 */
export async function answerHead(start: ChainStart, tokenIds: readonly number[]): Promise<string> {
  let link = await firstLink(start);
  // One buffer for all links: the one before, then the id.
  const bytes = new Uint8Array(36);
  const id = new DataView(bytes.buffer, 32);
  for (const tokenId of tokenIds) {
    bytes.set(link);
    id.setUint32(0, tokenId, true);
    link = await sha256(bytes);
  }
  return toBase64Url(link);
}

/** The same for vectors: one link for each, of its float32 numbers as bytes, little-endian, in the inputs' order. */
export async function vectorsHead(start: ChainStart, vectors: readonly Uint8Array[]): Promise<string> {
  let link = await firstLink(start);
  for (const vector of vectors) {
    const bytes = new Uint8Array(32 + vector.length);
    bytes.set(link);
    bytes.set(vector, 32);
    link = await sha256(bytes);
  }
  return toBase64Url(link);
}

/** What the first link is the SHA-256 of. */
export function chainOpening({ taskId, model }: ChainStart): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(new TextEncoder().encode(["cortensor-edge answer 1", taskId, model].join("\n")));
}

function firstLink(start: ChainStart): Promise<Uint8Array> {
  return sha256(chainOpening(start));
}

async function sha256(bytes: Uint8Array<ArrayBuffer>): Promise<Uint8Array> {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
}
