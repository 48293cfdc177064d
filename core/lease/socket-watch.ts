import { limits } from "../limits.ts";

/** What a book knows of its node's socket. Times are milliseconds since the epoch. */
export class SocketWatch {
  #isThere: boolean;
  #isOlder: boolean;
  #signAtMs = 0;

  /** `isThere`: an object that lost its memory may find its node's socket where it was. */
  constructor({ isThere }: { isThere: boolean }) {
    this.#isThere = isThere;
    this.#isOlder = isThere;
  }

  get isThere(): boolean {
    return this.#isThere;
  }

  /** True while the socket is older than this memory: it may still bring what an earlier one had asked for. */
  get isOlder(): boolean {
    return this.#isOlder;
  }

  /** When the node last gave a sign as far as is known here, or since when it owes frequent ones. */
  get signAtMs(): number {
    return this.#signAtMs;
  }

  /** When a node that owes signs and gives none is taken for gone. */
  get silentAtMs(): number {
    return this.#signAtMs + limits.busySilenceMs;
  }

  opened(nowMs: number): void {
    this.#isThere = true;
    this.#isOlder = false;
    this.#signAtMs = nowMs;
  }

  lost(): void {
    this.#isThere = false;
    this.#isOlder = false;
  }

  /** The node gave a sign, or owes them from then on. */
  noteSign(atMs: number): void {
    this.#signAtMs = Math.max(this.#signAtMs, atMs);
  }
}
