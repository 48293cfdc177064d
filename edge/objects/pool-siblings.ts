import type { AccountId, AttemptId, NodeId } from "../../core/ids.ts";
import { limits } from "../../core/limits.ts";
import type { Ability } from "../../core/node-pool/ability.ts";
import { priorityOf, type Ticket } from "../../core/node-pool/ticket.ts";

/** Tickets that a shard names in one call to a sibling. */
export const lendTickets = 16;
/** Pauses after calls that brought nothing: commonly, and where somebody comes whom no node of this shard could serve. */
const pauseMs = { usual: 100, urgent: 10 };

/** A ticket as one shard hands it to another. */
export interface LendTicket {
  attemptId: AttemptId;
  accountId: AccountId;
  priority: number;
  exclude: NodeId[];
  excludeOperators: AccountId[];
  needs?: Ability;
  avoid: NodeId[];
  affinity: string | null;
  /** No node lives where it waits that could serve it, so that it would take one put aside too. */
  isLastResort: boolean;
}

/** What a sibling has for a ticket: a lease of its own, live nodes that are busy, or none that could ever serve it. */
export type Lent = { attemptId: AttemptId } & ({ kind: "lease"; nodeId: NodeId } | { kind: "busy" } | { kind: "none" });

/** Another shard of the same model's pool. */
export interface Sibling {
  lend(request: { tickets: LendTicket[] }): Promise<Lent[]>;
  withdraw(attemptId: AttemptId): Promise<void>;
}

/** The shard for which siblings are asked. */
interface Asker {
  /** Who waits first, at most `count`. */
  firstWaiting(count: number): Ticket[];
  /** Some node of this shard lives that could serve it. */
  isServableHere(ticket: Ticket): boolean;
  /** Hands a ticket its lease; false where it does not wait any more. */
  onPlaced(attemptId: AttemptId, nodeId: NodeId): boolean;
  /** No shard has a node that could ever serve it. False where it goes on waiting all the same. */
  onHopeless(attemptId: AttemptId): boolean;
}

/**
 * Asks the other shards of a model for places, one in turn, for those who wait here: at once when somebody begins to
 * wait, again at once while it brings something, and then every 100 ms while somebody waits. A lease that a sibling
 * gives is the sibling's own claim.
 */
export class PoolSiblings {
  readonly #own: number;
  readonly #stub: (shard: number) => Sibling;
  readonly #asker: Asker;
  readonly #waitUntil: (promise: Promise<unknown>) => void;
  #shards = 1;
  #next = 0;
  #isAsking = false;
  /** Cuts the present pause short. */
  #hurry: (() => void) | undefined;
  /** For a ticket that nobody here could serve: the siblings, one after the other, that could not either. */
  readonly #denials = new Map<AttemptId, Set<number>>();
  /** Leases that siblings gave, so that one given back reaches whose claim it is. Kept as long as a claim is good. */
  readonly #lent = new Map<AttemptId, { shard: number; atMs: number }>();

  constructor(options: {
    /** The shard that asks. */
    own: number;
    stub: (shard: number) => Sibling;
    asker: Asker;
    waitUntil: (promise: Promise<unknown>) => void;
  }) {
    this.#own = options.own;
    this.#stub = options.stub;
    this.#asker = options.asker;
    this.#waitUntil = options.waitUntil;
    this.setShards(1);
  }

  /** Shards there are. One that is beyond this number still knows of those before it. */
  setShards(count: number): void {
    this.#shards = Math.max(count, 2 ** Math.ceil(Math.log2(this.#own + 1)));
    this.#next = Math.floor(Math.random() * this.#shards);
  }

  /** Siblings that can be asked. */
  get count(): number {
    return this.#shards - 1;
  }

  /** Somebody waits. Who can be served by nobody here does not wait through a pause. */
  wake({ isUrgent }: { isUrgent: boolean }): void {
    if (this.count === 0) return;
    if (isUrgent) this.#hurry?.();
    if (this.#isAsking) return;
    this.#isAsking = true;
    this.#waitUntil(this.#ask());
  }

  /** A ticket or a lease is given back; the sibling that lent it hears of it. */
  withdraw(attemptId: AttemptId): void {
    this.#denials.delete(attemptId);
    const lent = this.#lent.get(attemptId);
    if (lent === undefined) return;
    this.#lent.delete(attemptId);
    this.#giveBack(lent.shard, attemptId);
  }

  async #ask(): Promise<void> {
    let fruitless = 0;
    try {
      for (;;) {
        const tickets = this.#asker.firstWaiting(lendTickets);
        if (tickets.length === 0 || this.count === 0) return;
        fruitless = (await this.#askOne(tickets)) ? 0 : fruitless + 1;
        // For who has nobody here, all are asked at once, so that it is soon told where nobody has anybody.
        const isRoundOver = fruitless % this.count === 0 || tickets.every((each) => this.#asker.isServableHere(each));
        if (fruitless > 0 && isRoundOver) await this.#pause();
      }
    } finally {
      this.#isAsking = false;
      this.#denials.clear();
    }
  }

  /** One call to the next sibling; true where it settled anything. */
  async #askOne(tickets: readonly Ticket[]): Promise<boolean> {
    const shard = this.#turn();
    const wanted = tickets.map((ticket) => ({
      attemptId: ticket.attemptId,
      accountId: ticket.accountId,
      priority: priorityOf(ticket),
      exclude: [...ticket.exclude],
      excludeOperators: [...(ticket.excludeOperators ?? [])],
      ...(ticket.needs === undefined ? {} : { needs: ticket.needs }),
      avoid: [...ticket.avoid],
      affinity: ticket.affinity,
      isLastResort: !this.#asker.isServableHere(ticket),
    }));
    let answers: Lent[];
    try {
      answers = await this.#stub(shard).lend({ tickets: wanted });
    } catch (error) {
      console.warn("pool: a sibling did not answer", { shard, error: String(error) });
      return false;
    }
    const asked = new Map(tickets.map((ticket) => [ticket.attemptId, ticket]));
    let isFruitful = false;
    for (const answer of answers) {
      const ticket = asked.get(answer.attemptId);
      if (ticket !== undefined && this.#take(ticket, answer, shard)) isFruitful = true;
    }
    return isFruitful;
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
    else this.#giveBack(shard, attemptId);
    return true;
  }

  #remember(attemptId: AttemptId, shard: number): void {
    const atMs = Date.now();
    for (const [oldest, lent] of this.#lent) {
      if (lent.atMs + limits.ackMs > atMs) break;
      this.#lent.delete(oldest);
    }
    this.#lent.set(attemptId, { shard, atMs });
  }

  #giveBack(shard: number, attemptId: AttemptId): void {
    const given = this.#stub(shard).withdraw(attemptId);
    this.#waitUntil(
      given.catch((error: unknown) => {
        // The claim is void there before long.
        console.warn("pool: a sibling did not take a lease back", { shard, error: String(error) });
      }),
    );
  }

  #turn(): number {
    do this.#next = (this.#next + 1) % this.#shards;
    while (this.#next === this.#own);
    return this.#next;
  }

  async #pause(): Promise<void> {
    await new Promise<void>((resolve) => {
      const usual = setTimeout(resolve, pauseMs.usual);
      this.#hurry = () => {
        this.#hurry = undefined;
        clearTimeout(usual);
        setTimeout(resolve, pauseMs.urgent);
      };
    });
    this.#hurry = undefined;
  }
}
