import type { AccountId, AttemptId, NodeId } from "../../core/ids.ts";
import { modelHashSchema } from "../../core/ids.ts";
import { modelNameSchema } from "../../core/model/model-card.ts";
import { shardOf } from "../../core/node-pool/shards.ts";
import type { TaskRecord } from "../../core/record/entry.ts";
import { AccountShell } from "./account-shell.ts";
import { Client, type Order } from "./client.ts";
import { type Ground, holds } from "./ground.ts";
import { Link } from "./link.ts";
import { Network } from "./network.ts";
import { NodeProcess, type NodeTraits } from "./node-process.ts";
import { emptyNodeStorage, NodeShell, type NodeStorage } from "./node-shell.ts";
import { ObjectHost } from "./object-host.ts";
import type { PoolsOfNode } from "./offers-shell.ts";
import { emptyOutbox, type OutboxStorage } from "./outbox-shell.ts";
import { type ClaimReply, emptyPoolStorage, type OfferReply, PoolShell, type WaysOfPool } from "./pool-shell.ts";
import { Postgres } from "./postgres.ts";
import type { Lent } from "./siblings-shell.ts";
import { emptyStatusStorage, StatusShell } from "./status-shell.ts";
import { toyAttemptId, toyNodeId } from "./toy-answer.ts";
import { WorkerShell, type WorkerWays } from "./worker-shell.ts";

const model = modelHashSchema.parse("5".repeat(64));
const modelName = modelNameSchema.parse("toy-model");
const recordTries = 5;
const directoryEveryMs = 10_000;
/** A withdrawal has reached its pool within this, however calls are slowed. */
const withdrawnWithinMs = 2_000;

/** One box with its object. */
export interface SimulatedNode {
  readonly process: NodeProcess;
  readonly host: ObjectHost<NodeShell>;
  readonly storage: NodeStorage;
  /** When something last went wrong with it. */
  troubledAtMs: number;
  /** When a Worker last spoke to its object. */
  spokenToAtMs: number;
}

/** The whole network in one process: nodes with their objects, pools, accounts, Workers, Postgres. */
export class World {
  readonly ground: Ground;
  readonly network: Network;
  readonly postgres: Postgres;
  readonly nodes: readonly SimulatedNode[];
  /** The shards of the model's pool that somebody has spoken to. */
  readonly pools = new Map<number, ObjectHost<PoolShell>>();
  readonly status: ObjectHost<StatusShell>;
  readonly #statusStorage = emptyStatusStorage();
  /** Shards as the Workers have it: they read the list of models now and then. */
  #directoryShards = 1;
  readonly accounts = new Map<AccountId, { host: ObjectHost<AccountShell>; storage: OutboxStorage }>();
  readonly clients: Client[] = [];
  /** Nodes that a Worker has spoken to and that may still have something of it: the others are idle. */
  readonly active = new Set<SimulatedNode>();
  /** Requests that are under way. */
  readonly workers = new Set<WorkerShell>();
  readonly #nodesById = new Map<NodeId, SimulatedNode>();
  readonly #ways: WorkerWays;
  /** Who asks a pool now. */
  readonly #asking = new Map<AttemptId, Client>();
  #attempts = 0;
  /** When something last went wrong with what all share. */
  troubledAtMs = 0;
  /** Milliseconds that the Workers' clocks are ahead. */
  workerSkewMs = 0;

  constructor(ground: Ground, { nodes, isStrict }: { nodes: number; isStrict: boolean }) {
    this.ground = ground;
    this.network = new Network(ground);
    this.postgres = new Postgres(ground);
    this.status = new ObjectHost<StatusShell>({ ground, network: this.network, name: "STATUS/models" }, (host) => {
      return new StatusShell(host, this.#statusStorage);
    });
    this.nodes = Array.from({ length: nodes }, (_, index) => this.#makeNode(index + 1, isStrict));
    for (const node of this.nodes) this.#nodesById.set(node.process.traits.nodeId, node);
    this.#ways = this.#makeWays();
    this.#readDirectory();
  }

  /** Shards that the model's pool has, as the status object has it. */
  get shards(): number {
    return this.#statusStorage.shards;
  }

  /** A request comes in: a Worker takes it. */
  request(order: Order): void {
    const { loop } = this.ground;
    const client = new Client(order, loop.nowMs);
    this.clients.push(client);
    const worker: WorkerShell = new WorkerShell(this.ground, {
      client,
      ways: this.#ways,
      skewMs: this.workerSkewMs,
      onOver: () => this.#over(worker),
    });
    this.workers.add(worker);
    worker.begin();
    if (order.leavesAfterMs !== null) loop.after(order.leavesAfterMs, () => worker.leave());
  }

  /** A node's object loses its memory, and its sockets break with it. */
  resetNode({ host, storage }: SimulatedNode): void {
    const links = [storage.socket?.link, storage.checking];
    storage.socket = undefined;
    storage.checking = undefined;
    host.reset();
    for (const link of links) link?.dropByRouter();
  }

  account(accountId: AccountId): { host: ObjectHost<AccountShell>; storage: OutboxStorage } {
    const known = this.accounts.get(accountId);
    if (known !== undefined) return known;
    const storage = emptyOutbox();
    const name = `ACCOUNT/${accountId}`;
    const host = new ObjectHost<AccountShell>({ ground: this.ground, network: this.network, name }, (made) => {
      return new AccountShell(made, { storage, postgres: this.postgres });
    });
    const account = { host, storage };
    this.accounts.set(accountId, account);
    return account;
  }

  #over(worker: WorkerShell): void {
    if (!this.workers.delete(worker)) return;
    const { client } = worker;
    const { tally } = this.ground;
    const { ending } = client;
    tally.add(`ending ${ending?.kind === "refused" ? ending.code : (ending?.kind ?? "none")}`);
    if (ending?.kind === "refused" && client.tokens > 0) tally.add("broken streams");
    tally.add("tokens delivered", client.tokens);
    tally.peak("longest silence within an answer, ms", client.longestSilenceMs);
    tally.peak("longest request, ms", client.endedAtMs - client.sentAtMs);
  }

  /** The list of models is read every ten seconds: `edge/model-directory.ts`. */
  #readDirectory(): void {
    this.#directoryShards = this.#statusStorage.shards;
    this.ground.tally.peak("peak of shards", this.#directoryShards);
    this.ground.loop.after(directoryEveryMs, () => this.#readDirectory());
  }

  pool(shard: number): ObjectHost<PoolShell> {
    const known = this.pools.get(shard);
    if (known !== undefined) return known;
    const storage = emptyPoolStorage();
    const { ground, network } = this;
    const host = new ObjectHost<PoolShell>({ ground, network, name: `POOL/${shard}` }, (made) => {
      return new PoolShell(made, { storage, shard, ways: this.#waysOfPool() });
    });
    this.pools.set(shard, host);
    return host;
  }

  #waysOfPool(): WaysOfPool {
    return {
      lend: (shard, wishes, done, failed) => {
        const perform = (pool: PoolShell, reply: (lent: readonly Lent[]) => void) => reply(pool.lend(wishes));
        this.pool(shard).call<readonly Lent[]>({ perform, done, failed });
      },
      withdraw: (shard, attemptId) => this.pool(shard).tell((pool) => pool.withdraw(attemptId)),
      report: (report, done, failed) => {
        this.status.call<{ shards: number }>({
          perform: (status, reply) => reply(status.reportPool(report)),
          done,
          failed,
        });
      },
      offerNow: (nodeId, settled) => {
        this.#nodesById.get(nodeId)?.host.tell((node) => node.offerNow(), settled);
      },
      onLease: (attemptId) => this.#checkWanted(attemptId),
    };
  }

  #makeNode(number: number, isStrict: boolean): SimulatedNode {
    const { ground, network, postgres } = this;
    const { dice } = ground;
    const traits: NodeTraits = {
      nodeId: toyNodeId(number),
      model,
      slots: dice.whole(1, 4),
      tokenizeMs: dice.whole(2, 60),
      prefillMs: dice.whole(30, 800),
      stepMs: dice.whole(15, 60),
      latencyMs: dice.whole(2, 60),
    };
    const storage = emptyNodeStorage();
    const card = { nodeId: traits.nodeId, model, slots: traits.slots, tokensPerSecond: 1_000 / traits.stepMs };
    const host = new ObjectHost<NodeShell>({ ground, network, name: `NODE/${traits.nodeId}` }, (made) => {
      return new NodeShell(made, { card, storage, postgres, pools: this.#poolsOfNodes() });
    });
    const process = new NodeProcess(ground, traits, (node, resume) => {
      const { nodeId: name, latencyMs } = traits;
      const link: Link = new Link(ground, {
        name,
        latencyMs,
        isStrict,
        node,
        router: {
          message: (frames) => host.instance.hear(link, frames),
          closed: (code) => host.instance.closed(link, code),
        },
      });
      host.instance.accept(link, resume);
      return link;
    });
    return { process, host, storage, troubledAtMs: 0, spokenToAtMs: 0 };
  }

  #poolsOfNodes(): PoolsOfNode {
    return {
      offer: (shard, offer, done, failed) => {
        this.pool(shard).call<OfferReply>({ perform: (pool, reply) => reply(pool.offer(offer)), done, failed });
      },
      leave: (shard, nodeId, done) => {
        this.pool(shard).call<{ shards: number }>({
          perform: (pool, reply) => reply(pool.leave(nodeId)),
          done,
          failed: () => {},
        });
      },
    };
  }

  #makeWays(): WorkerWays {
    return {
      model,
      modelName,
      newAttemptId: (): AttemptId => {
        this.#attempts += 1;
        return toyAttemptId(this.#attempts);
      },
      shardFor: ({ conversation }) => {
        const shards = this.#directoryShards;
        return conversation === null ? this.ground.dice.whole(0, shards - 1) : shardOf(conversation, shards);
      },
      claim: ({ client, shard, lane, claim: { type: _, ...claim } }, done, failed) => {
        const { accountId, weight, conversation: affinity } = client.order;
        this.#asking.set(claim.attemptId, client);
        this.pool(shard).call<ClaimReply>({
          lane,
          perform: (pool, reply) => pool.claim({ ...claim, accountId, weight, affinity }, reply),
          done: (outcome) => {
            this.#asking.delete(claim.attemptId);
            done(outcome);
          },
          failed: (reason) => {
            this.#asking.delete(claim.attemptId);
            failed(reason);
          },
        });
      },
      withdraw: ({ shard, attemptId, lane }) => {
        this.pool(shard).call<void>({
          lane,
          perform: (pool, reply) => reply(pool.withdraw(attemptId)),
          done: () => {},
          // A withdrawal that is lost is not told again: the claim is void after a while.
          failed: () => this.#asking.delete(attemptId),
        });
      },
      node: (nodeId) => {
        const node = this.#nodesById.get(nodeId);
        if (node === undefined) return undefined;
        node.spokenToAtMs = this.ground.loop.nowMs;
        this.active.add(node);
        return node.host;
      },
      record: (record) => this.#record(record, 1),
    };
  }

  /** Nobody is found a node who left a while ago. */
  #checkWanted(attemptId: AttemptId): void {
    const client = this.#asking.get(attemptId);
    if (client?.ending?.kind !== "left") return;
    const goneMs = this.ground.loop.nowMs - client.endedAtMs;
    holds(goneMs <= withdrawnWithinMs, "nobody is found a node who has left", () => {
      return `${attemptId} of ${client.order.taskId}, ${goneMs} ms after`;
    });
  }

  #record(record: TaskRecord, tries: number): void {
    this.account(record.accountId).host.call<void>({
      perform: (account, reply) => {
        account.recordTask(record);
        reply();
      },
      done: () => {},
      failed: () => {
        if (tries === recordTries) return;
        this.ground.loop.after(100 * 2 ** tries, () => this.#record(record, tries + 1));
      },
    });
  }
}
