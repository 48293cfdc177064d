import { createPrivateKey, hash, sign } from "node:crypto";
import { type ChainStart, chainOpening } from "../core/commitment/answer-chain.ts";
import { type CommitmentClaim, commitmentBytes } from "../core/commitment/sign-commitment.ts";

/**
 * The chain of `core/commitment/answer-chain.ts`, link by link as an answer is made, so that its head is there when the
 * answer is: a thousand digests by Web Crypto are a thousand turns of the event loop.
 */
export class AnswerChain {
  #link: Buffer;

  constructor(start: ChainStart) {
    this.#link = sha256(chainOpening(start));
  }

  /** Adds a link for each id, in order. */
  addTokens(tokenIds: readonly number[]): void {
    const bytes = Buffer.alloc(36);
    for (const tokenId of tokenIds) {
      this.#link.copy(bytes);
      bytes.writeUInt32LE(tokenId, 32);
      this.#link = sha256(bytes);
    }
  }

  /** Adds one link: `vector` is of float32, little-endian. */
  addVector(vector: Uint8Array): void {
    this.#link = sha256(Buffer.concat([this.#link, vector]));
  }

  /** The last link, base64url. */
  get head(): string {
    return this.#link.toString("base64url");
  }
}

export type SignClaim = (claim: CommitmentClaim) => string;

/** Signs with this key (PKCS #8, base64url) as `signCommitment` does, at once: what ends an answer waits for nothing. */
export function claimSigner(privateKey: string): SignClaim {
  const key = createPrivateKey({ key: Buffer.from(privateKey, "base64url"), format: "der", type: "pkcs8" });
  return (claim) => sign(null, commitmentBytes(claim), key).toString("base64url");
}

function sha256(bytes: Uint8Array): Buffer {
  return hash("sha256", bytes, "buffer");
}
