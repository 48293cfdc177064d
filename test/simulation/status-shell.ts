import { shardCount } from "../../core/node-pool/shards.ts";
import type { Instance, ObjectHost } from "./object-host.ts";

const silentMs = 90_000;

/** What the deployment's status object has in storage of the one model there is. */
export interface StatusStorage {
  shards: number;
  readonly reports: Map<number, { liveNodes: number; atMs: number }>;
}

export const emptyStatusStorage = (): StatusStorage => ({ shards: 1, reports: new Map() });

/** The part of `edge/objects/status-object.ts` that requests depend on: how many shards a model's pool has. */
export class StatusShell implements Instance {
  readonly #host: ObjectHost<StatusShell>;
  readonly #storage: StatusStorage;

  constructor(host: ObjectHost<StatusShell>, storage: StatusStorage) {
    this.#host = host;
    this.#storage = storage;
  }

  reportPool({ shard, liveNodes, atMs }: { shard: number; liveNodes: number; atMs: number }): { shards: number } {
    const known = this.#storage.reports.get(shard);
    if (known === undefined || known.atMs <= atMs) this.#storage.reports.set(shard, { liveNodes, atMs });
    this.#host.ground.tally.add("rows written");
    let live = 0;
    for (const report of this.#storage.reports.values()) {
      if (report.atMs > this.#host.nowMs - silentMs) live += report.liveNodes;
    }
    this.#storage.shards = shardCount({ liveNodes: live, shards: this.#storage.shards });
    return { shards: this.#storage.shards };
  }

  /** Nothing is to be done later. */
  alarm(done: () => void): void {
    done();
  }
}
