import { type AccountId, type AttemptId, accountIdSchema, attemptIdSchema, type NodeId, nodeIdSchema } from "../ids.ts";
import { emptyPool, type NodePool, offer, type PoolLimits, type Word } from "./node-pool.ts";
import type { Ticket } from "./ticket.ts";

/** Short names for ids, filled up to their least length. */
export const node = (name: string): NodeId => nodeIdSchema.parse(`node_${name.padEnd(4, "_")}`);
export const attempt = (name: string): AttemptId => attemptIdSchema.parse(`attempt_${name.padEnd(4, "_")}`);
export const account = (name: string): AccountId => accountIdSchema.parse(name.padEnd(4, "0"));

/** A random source that always draws the first. */
export const first = () => 0;

/** A random source that draws these shares in turn, then the first. */
export function draws(...shares: number[]): () => number {
  return () => shares.shift() ?? 0;
}

interface TicketFields extends Omit<Partial<Ticket>, "attemptId" | "accountId" | "exclude" | "avoid"> {
  account?: string;
  exclude?: string[];
  avoid?: string[];
}

/** A ticket by short names; of one account, with no wish, for five seconds from 0 on, where nothing else is said. */
export function ticket(name: string, fields: TicketFields = {}): Ticket {
  const { account: of = "any", exclude = [], avoid = [], ...rest } = fields;
  return {
    attemptId: attempt(name),
    accountId: account(of),
    exclude: new Set(exclude.map(node)),
    avoid: new Set(avoid.map(node)),
    affinity: null,
    isPatient: false,
    expiresAtMs: 5_000,
    ...rest,
  };
}

/** A node's word by short names: four slots, equal speeds, not put aside, where nothing else is said. */
export function word(
  name: string,
  free: number,
  fields: Partial<Omit<Word, "nodeId" | "taken">> & { taken?: string[] } = {},
): Word {
  const { taken = [], ...rest } = fields;
  return {
    nodeId: node(name),
    slots: 4,
    free,
    tokensPerSecond: 10,
    firstTokenMs: null,
    asideUntilMs: 0,
    taken: taken.map(attempt),
    ...rest,
  };
}

/** A pool whose nodes have said these words at 0, or only how much room they have. */
export function poolOf(
  words: Record<string, number | (Partial<Word> & { free: number })>,
  limits: Partial<PoolLimits> = {},
): NodePool {
  const pool = emptyPool({ tickets: 100, claimMs: 1_000, silentMs: 10_000, ...limits });
  for (const [name, said] of Object.entries(words)) {
    const { free, ...fields } = typeof said === "number" ? { free: said } : said;
    offer(pool, { ...word(name, free), ...fields }, 0, first);
  }
  return pool;
}

/** The names of who waits, in the order in which they came. */
export function waitingIn(pool: NodePool): AttemptId[] {
  return [...pool.queue.byAttempt.keys()];
}
