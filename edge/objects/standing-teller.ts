import type { ModelHash } from "../../core/ids.ts";
import type { Standing } from "../../core/node-pool/standing.ts";
import { standingText } from "../../core/node-pool/standing-text.ts";
import type { RouterFrame } from "../../core/wire/router-frame.ts";

/** A node with one slot is busy and free again with every task; its miner need not read each. */
const atMostEveryMs = 10_000;

/** Tells a node why work comes or does not: when that changes, and not too often. */
export class StandingTeller {
  readonly #send: (frame: RouterFrame) => void;
  readonly #told = new Map<ModelHash, { kind: Standing["kind"]; atMs: number }>();

  /** `send` reaches the node's present socket, where it has one. */
  constructor(send: (frame: RouterFrame) => void) {
    this.#send = send;
  }

  /** The node is on a fresh socket and has been told nothing. */
  forget(): void {
    this.#told.clear();
  }

  tell(model: ModelHash, standing: Standing): void {
    const { kind } = standing;
    const told = this.#told.get(model);
    const nowMs = Date.now();
    if (told !== undefined && (told.kind === kind || nowMs - told.atMs < atMostEveryMs)) return;
    this.#told.set(model, { kind, atMs: nowMs });
    this.#send({ type: "standing", model, kind, text: standingText(standing) });
  }
}
