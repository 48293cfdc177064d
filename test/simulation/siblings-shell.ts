import type { AttemptId, NodeId } from "../../core/ids.ts";
import { limits } from "../../core/limits.ts";
import type { Ticket } from "../../core/node-pool/ticket.ts";
import type { Clock } from "./object-host.ts";

/** Tickets that a shard names in one call to a sibling. */
export const lendTickets = 16;
const pauseMs = { usual: 100, urgent: 10 };

/** What a sibling is asked for, and what it has. */
export type LendWish = Pick<Ticket, "attemptId" | "accountId" | "exclude" | "avoid" | "affinity"> & {
  isLastResort: boolean;
};
export type Lent = { attemptId: AttemptId } & ({ kind: "lease"; nodeId: NodeId } | { kind: "busy" } | { kind: "none" });

/** The shard that asks, and how it reaches the others. */
export interface Asker {
  firstWaiting(count: number): Ticket[];
  isServableHere(ticket: Ticket): boolean;
  onPlaced(attemptId: AttemptId, nodeId: NodeId): boolean;
  onHopeless(attemptId: AttemptId): boolean;
  lend(shard: number, wishes: readonly LendWish[], done: (lent: readonly Lent[]) => void, failed: () => void): void;
  giveBack(shard: number, attemptId: AttemptId): void;
}

/** How a shard asks the others for places, as `edge/objects/pool-siblings.ts` does it. */
export class SiblingsShell {
  readonly #clock: Clock;
  readonly #own: number;
  readonly #asker: Asker;
  #shards = 1;
  #next = 0;
  #isAsking = false;
  #fruitless = 0;
  #hurry: (() => void) | undefined;
  readonly #denials = new Map<AttemptId, Set<number>>();
  readonly #lent = new Map<AttemptId, { shard: number; atMs: number }>();

  constructor(clock: Clock, { own, asker }: { own: number; asker: Asker }) {
    this.#clock = clock;
    this.#own = own;
    this.#asker = asker;
    this.setShards(1);
  }

  get count(): number {
    return this.#shards - 1;
  }

  setShards(count: number): void {
    this.#shards = Math.max(count, 2 ** Math.ceil(Math.log2(this.#own + 1)));
    this.#next = this.#clock.ground.dice.whole(0, this.#shards - 1);
  }

  wake({ isUrgent }: { isUrgent: boolean }): void {
    if (this.count === 0) return;
    if (isUrgent) this.#hurry?.();
    if (this.#isAsking) return;
    this.#isAsking = true;
    this.#fruitless = 0;
    this.#ask();
  }

  withdraw(attemptId: AttemptId): void {
    this.#denials.delete(attemptId);
    const lent = this.#lent.get(attemptId);
    if (lent === undefined) return;
    this.#lent.delete(attemptId);
    this.#asker.giveBack(lent.shard, attemptId);
  }

  #ask(): void {
    const tickets = this.#asker.firstWaiting(lendTickets);
    if (tickets.length === 0 || this.count === 0) {
      this.#isAsking = false;
      this.#denials.clear();
      return;
    }
    this.#askOne(tickets, (isFruitful) => {
      this.#fruitless = isFruitful ? 0 : this.#fruitless + 1;
      const isRoundOver =
        this.#fruitless % this.count === 0 || tickets.every((each) => this.#asker.isServableHere(each));
      if (this.#fruitless > 0 && isRoundOver) this.#pause();
      else this.#ask();
    });
  }

  #askOne(tickets: readonly Ticket[], done: (isFruitful: boolean) => void): void {
    const shard = this.#turn();
    const wishes = tickets.map(({ attemptId, accountId, exclude, avoid, affinity }, index) => {
      const ticket = tickets[index];
      const isLastResort = ticket === undefined || !this.#asker.isServableHere(ticket);
      return { attemptId, accountId, exclude, avoid, affinity, isLastResort };
    });
    const asked = new Map(tickets.map((ticket) => [ticket.attemptId, ticket]));
    this.#asker.lend(
      shard,
      wishes,
      (answers) => {
        let isFruitful = false;
        for (const answer of answers) {
          const ticket = asked.get(answer.attemptId);
          if (ticket !== undefined && this.#take(ticket, answer, shard)) isFruitful = true;
        }
        done(isFruitful);
      },
      () => done(false),
    );
  }

  #take(ticket: Ticket, answer: Lent, shard: number): boolean {
    const { attemptId } = ticket;
    if (answer.kind === "none" && !this.#asker.isServableHere(ticket)) {
      const denials = (this.#denials.get(attemptId) ?? new Set()).add(shard);
      this.#denials.set(attemptId, denials);
      if (denials.size < this.count) return false;
      this.#denials.delete(attemptId);
      return this.#asker.onHopeless(attemptId);
    }
    this.#denials.delete(attemptId);
    if (answer.kind !== "lease") return false;
    if (this.#asker.onPlaced(attemptId, answer.nodeId)) this.#remember(attemptId, shard);
    else this.#asker.giveBack(shard, attemptId);
    return true;
  }

  #remember(attemptId: AttemptId, shard: number): void {
    const atMs = this.#clock.nowMs;
    for (const [oldest, lent] of this.#lent) {
      if (lent.atMs + limits.ackMs > atMs) break;
      this.#lent.delete(oldest);
    }
    this.#lent.set(attemptId, { shard, atMs });
  }

  #turn(): number {
    do this.#next = (this.#next + 1) % this.#shards;
    while (this.#next === this.#own);
    return this.#next;
  }

  #pause(): void {
    const go = () => {
      this.#hurry = undefined;
      this.#ask();
    };
    const cancelUsual = this.#clock.after(pauseMs.usual, go);
    this.#hurry = () => {
      this.#hurry = undefined;
      cancelUsual();
      this.#clock.after(pauseMs.urgent, go);
    };
  }
}
