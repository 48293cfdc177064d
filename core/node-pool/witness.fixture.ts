import type { AccountId, AttemptId, NodeId } from "../ids.ts";
import { heapTop } from "./heap.ts";
import { roomIn } from "./members.ts";
import type { NodePool, Placement, PoolLimits, Settled, Word } from "./node-pool.ts";
import { priorityOf, type Ticket } from "./ticket.ts";
import { accountTickets } from "./ticket-queue.ts";

/**
 * What a random walk knows of a pool by itself, from what it told the pool and what the pool answered. It searches
 * through everything each time, as the pool must not, and writes down each guarantee that it sees broken.
 */
export class Witness {
  readonly faults = new Set<string>();
  readonly members = new Map<NodeId, { free: number; asideUntilMs: number; heardAtMs: number }>();
  readonly claims = new Map<AttemptId, { nodeId: NodeId; atMs: number }>();
  readonly waiting = new Map<AttemptId, Ticket>();
  /** Attempts that were given a lease and may not be given another. */
  readonly served = new Set<AttemptId>();
  leases = 0;
  displaced = 0;
  #nowMs = 0;
  readonly #limits: PoolLimits;

  constructor(limits: PoolLimits) {
    this.#limits = limits;
  }

  check(holds: boolean, fault: string): void {
    if (!holds) this.faults.add(fault);
  }

  /** What time alone has changed by now. */
  pass(nowMs: number): void {
    this.#nowMs = nowMs;
    for (const [id, { atMs }] of this.claims) if (atMs + this.#limits.claimMs <= nowMs) this.claims.delete(id);
    for (const [id, { heardAtMs }] of this.members) {
      if (heardAtMs + this.#limits.silentMs <= nowMs) this.gone(id);
    }
  }

  heard({ nodeId, free, asideUntilMs, taken }: Word): void {
    for (const attemptId of taken) this.claims.delete(attemptId);
    this.members.set(nodeId, { free, asideUntilMs, heardAtMs: this.#nowMs });
  }

  gone(nodeId: NodeId): void {
    this.members.delete(nodeId);
    for (const [attemptId, held] of this.claims) if (held.nodeId === nodeId) this.claims.delete(attemptId);
  }

  room(nodeId: NodeId): number {
    const claimed = [...this.claims.values()].filter((held) => held.nodeId === nodeId).length;
    return Math.max(0, (this.members.get(nodeId)?.free ?? 0) - claimed);
  }

  /** The nodes a ticket may have, busy or not: ordinary ones, else those put aside, else those it avoids. */
  candidates({ exclude, avoid }: Ticket): NodeId[] {
    const living = [...this.members.keys()].filter((nodeId) => !exclude.has(nodeId));
    const wanted = living.filter((nodeId) => !avoid.has(nodeId));
    const ordinary = wanted.filter((nodeId) => (this.members.get(nodeId)?.asideUntilMs ?? 0) <= this.#nowMs);
    if (ordinary.length > 0) return ordinary;
    return wanted.length > 0 ? wanted : living;
  }

  lease(ticket: Ticket, nodeId: NodeId): void {
    this.leases += 1;
    this.check(this.members.has(nodeId), "a lease went to a node that is not there");
    this.check(!ticket.exclude.has(nodeId), "a lease went to an excluded node");
    this.check(this.candidates(ticket).includes(nodeId), "a lease went to a last resort too early");
    this.check(this.room(nodeId) > 0, "a lease went past the free credits");
    this.check(!this.served.has(ticket.attemptId), "an attempt was served twice");
    for (const other of this.waiting.values()) {
      if (other.attemptId === ticket.attemptId || !this.candidates(other).includes(nodeId)) continue;
      this.check(priorityOf(other) <= priorityOf(ticket), "a higher priority was overtaken");
      const isSameLine = other.accountId === ticket.accountId && priorityOf(other) === priorityOf(ticket);
      this.check(!isSameLine || this.#cameBefore(ticket, other), "an account's tickets were served out of order");
      this.check(this.waiting.has(ticket.attemptId), "a newcomer had what somebody waited for");
    }
    this.served.add(ticket.attemptId);
    this.claims.set(ticket.attemptId, { nodeId, atMs: this.#nowMs });
  }

  claimed(ticket: Ticket, placement: Placement): void {
    const isHopeless = this.candidates(ticket).length === 0;
    if (placement.kind === "lease") this.lease(ticket, placement.nodeId);
    else if (placement.kind === "wait") {
      this.check(ticket.isPatient || !isHopeless, "a ticket was taken that nobody can serve");
      if (placement.displaced !== undefined) this.#displace(placement.displaced);
      this.waiting.set(ticket.attemptId, ticket);
    } else if (placement.code === "no_live_node") {
      this.check(isHopeless && !ticket.isPatient, "a claim with live nodes was told that there are none");
    } else {
      const own = this.#ofAccount(ticket.accountId);
      const isPastShare = own >= accountTickets(this.#limits.tickets) && this.waiting.size > own;
      this.check(this.waiting.size >= this.#limits.tickets || isPastShare, "the queue was called full too early");
      const crowders = [...this.waiting.values()].filter((other) => this.#isCrowding(other.accountId));
      const mayDisplace = crowders.some((other) => other.accountId !== ticket.accountId);
      this.check(isPastShare || !mayDisplace, "an account that crowds the queue kept another out");
    }
  }

  settle(settled: readonly Settled[]): void {
    for (const outcome of settled) {
      const ticket = this.waiting.get(outcome.attemptId);
      this.check(ticket !== undefined, "a ticket was settled that does not wait");
      if (ticket === undefined) continue;
      const isOver = ticket.expiresAtMs <= this.#nowMs;
      const isHopeless = this.candidates(ticket).length === 0;
      if (outcome.kind === "lease") this.lease(ticket, outcome.nodeId);
      else if (outcome.code === "no_free_node") this.check(isOver && !isHopeless, "a ticket ended too early");
      else {
        this.check(isHopeless, "a ticket with live nodes was told that there are none");
        this.check(isOver || !ticket.isPatient, "a task under way was sent away before its time");
      }
      this.waiting.delete(outcome.attemptId);
    }
    for (const ticket of this.waiting.values()) {
      const candidates = this.candidates(ticket);
      this.check(ticket.expiresAtMs > this.#nowMs, "a ticket waits past its time");
      this.check(ticket.isPatient || candidates.length > 0, "a ticket waits for nobody");
      this.check(
        candidates.every((nodeId) => this.room(nodeId) <= 0),
        "a ticket waits while a node is free",
      );
    }
  }

  /** Holds the pool against what is known, and its orders and counts against each other. */
  compare({ members, claims, queue, limits }: NodePool): void {
    this.check([...queue.byAttempt.keys()].join() === [...this.waiting.keys()].join(), "the queue is not who waits");
    this.check(queue.byAttempt.size <= limits.tickets, "the queue is past its bound");
    this.check(
      [...members.byId.keys()].toSorted().join() === [...this.members.keys()].toSorted().join(),
      "the members are not who is there",
    );
    let room = 0;
    for (const member of members.byId.values()) {
      room += roomIn(member);
      const list = member.isAside ? members.withRoom.aside : members.withRoom.ordinary;
      this.check(roomIn(member) === this.room(member.nodeId), "the pool counts a node's room wrongly");
      this.check((list[member.place] === member) === roomIn(member) > 0, "a member stands in the wrong list");
    }
    const listed = members.withRoom.ordinary.length + members.withRoom.aside.length;
    this.check(listed === [...members.byId.values()].filter((each) => roomIn(each) > 0).length, "a list has strangers");
    this.check(members.room === room, "the sum of the room is wrong");
    this.check(
      [...claims.keys()].filter((id) => !this.claims.has(id)).every((id) => claims.get(id)?.member.isHere === false),
      "a claim outlives its end",
    );
    const expiries = [...queue.byAttempt.values()].map(({ ticket }) => ticket.expiresAtMs);
    this.check(
      (heapTop(queue.expiries)?.ticket.expiresAtMs ?? Number.POSITIVE_INFINITY) === Math.min(...expiries),
      "the first to expire is not the first",
    );
  }

  #displace(attemptId: AttemptId): void {
    this.displaced += 1;
    const ticket = this.waiting.get(attemptId);
    this.check(ticket !== undefined && this.#isCrowding(ticket.accountId), "a ticket was displaced that crowds nobody");
    this.check(this.waiting.size >= this.#limits.tickets, "a ticket was displaced while there was place");
    this.waiting.delete(attemptId);
  }

  #isCrowding(accountId: AccountId): boolean {
    return this.#ofAccount(accountId) > accountTickets(this.#limits.tickets);
  }

  #ofAccount(accountId: AccountId): number {
    return [...this.waiting.values()].filter((ticket) => ticket.accountId === accountId).length;
  }

  #cameBefore(one: Ticket, other: Ticket): boolean {
    const order = [...this.waiting.keys()];
    return order.indexOf(one.attemptId) < order.indexOf(other.attemptId);
  }
}
