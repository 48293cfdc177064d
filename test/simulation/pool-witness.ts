import type { AttemptId, NodeId } from "../../core/ids.ts";
import type { Settled } from "../../core/node-pool/node-pool.ts";
import { holds } from "./ground.ts";

/** Nodes that a request must not have, and those that it is to have only where nobody else lives. */
export interface Named {
  readonly exclude: ReadonlySet<NodeId>;
  readonly avoid: ReadonlySet<NodeId>;
}

/**
 * What a pool has been told and has answered, kept apart from the pool, so that its own counting is checked by
 * somebody else's.
 */
export class PoolWitness {
  readonly #name: string;
  readonly #claimMs: number;
  #nowMs = 0;
  #latestMs = 0;
  readonly #members = new Map<NodeId, { free: number; claims: Map<AttemptId, number> }>();
  readonly #nodeOf = new Map<AttemptId, NodeId>();
  /** Whom the attempts that ask do not want. */
  readonly #named = new Map<AttemptId, Named>();

  /** `claimMs`: how long a claim counts that nobody confirms. */
  constructor(name: string, claimMs: number) {
    this.#name = name;
    this.#claimMs = claimMs;
  }

  /** The pool's clock: it may go back, and a claim that is void stays so. */
  saw(nowMs: number): void {
    this.#nowMs = nowMs;
    this.#latestMs = Math.max(this.#latestMs, nowMs);
  }

  offered(nodeId: NodeId, free: number, taken: readonly AttemptId[]): void {
    const claims = this.#members.get(nodeId)?.claims ?? new Map<AttemptId, number>();
    for (const attemptId of taken) this.#forget(attemptId);
    this.#members.set(nodeId, { free, claims });
  }

  left(nodeId: NodeId): void {
    for (const attemptId of this.#members.get(nodeId)?.claims.keys() ?? []) this.#nodeOf.delete(attemptId);
    this.#members.delete(nodeId);
  }

  /** An attempt asks for a node. */
  asked(attemptId: AttemptId, named: Named): void {
    this.#named.set(attemptId, named);
  }

  withdrawn(attemptId: AttemptId): void {
    this.#named.delete(attemptId);
    this.#forget(attemptId);
  }

  /**
   * A lease was given: there must be room for it, the attempt may have no other, and it must not be at a node that the
   * attempt does not want. `members` are the live ones.
   */
  leased(attemptId: AttemptId, nodeId: NodeId, members: ReadonlyMap<NodeId, unknown>): void {
    this.#checkNamed(attemptId, nodeId, members);
    const before = this.#nodeOf.get(attemptId);
    holds(before === undefined || before === nodeId, "no lease is in two hands", () => {
      return `${this.#name} gave ${attemptId} to ${before} and to ${nodeId}`;
    });
    const member = this.#members.get(nodeId);
    if (member === undefined || before === nodeId) return;
    for (const [claimed, expiresAtMs] of member.claims) if (expiresAtMs <= this.#latestMs) this.#forget(claimed);
    holds(member.claims.size < member.free, "no room is given twice", () => {
      return `${this.#name} gave ${nodeId}, with room for ${member.free}, to ${member.claims.size + 1} claims`;
    });
    member.claims.set(attemptId, this.#nowMs + this.#claimMs);
    this.#nodeOf.set(attemptId, nodeId);
  }

  /** What came of the tickets that waited, and of who asked; `members` are the live ones. */
  settled(settled: readonly Settled[], members: ReadonlyMap<NodeId, unknown>): void {
    for (const each of settled) {
      if (each.kind === "lease") this.leased(each.attemptId, each.nodeId, members);
      else this.#named.delete(each.attemptId);
    }
  }

  #checkNamed(attemptId: AttemptId, nodeId: NodeId, members: ReadonlyMap<NodeId, unknown>): void {
    const named = this.#named.get(attemptId);
    if (named === undefined) return;
    this.#named.delete(attemptId);
    const { exclude, avoid } = named;
    holds(!exclude.has(nodeId), "no task goes where it must not", () => `${attemptId} went to ${nodeId}`);
    if (!avoid.has(nodeId)) return;
    let others = members.size;
    for (const other of new Set([...exclude, ...avoid])) if (members.has(other)) others -= 1;
    holds(others === 0, "no task goes where it must not", () => `${attemptId} went to ${nodeId} though others live`);
  }

  #forget(attemptId: AttemptId): void {
    const nodeId = this.#nodeOf.get(attemptId);
    this.#nodeOf.delete(attemptId);
    if (nodeId !== undefined) this.#members.get(nodeId)?.claims.delete(attemptId);
  }
}
