import {
  newReputation,
  noteOverturned,
  noteSuspicion,
  noteValidation,
  noteVerdict,
  pardon,
  type Reputation,
  reputationSchema,
  takeBackValidation,
} from "../../core/reputation/reputation.ts";
import { standingInTrust, type TrustStanding } from "../../core/reputation/trust-standing.ts";
import { type TrustMark, trustMarkSchema } from "../trust/trust-mark.ts";

/** Marks that are listed; older ones count, and are told no more. */
const listedMarks = 200;
/**
 * Ids of marks are kept somewhat longer than the cases that may tell them again (`caseKeptMs` of AuditObject), and what
 * is older goes now and then.
 */
const marksKeptMs = 40 * 24 * 3_600_000;
const forgetEveryMs = 24 * 3_600_000;

/** What a node has earned by its answers and its checks, as its object keeps it. The tables are there. */
export class NodeTrust {
  readonly #sql: SqlStorage;
  #reputation: Reputation | undefined;
  #forgotAtMs = 0;

  constructor(sql: SqlStorage) {
    this.#sql = sql;
  }

  standing(nowMs: number): TrustStanding {
    return standingInTrust(this.#read(nowMs), nowMs);
  }

  /** Counts a mark. False where it was counted before. */
  note(mark: TrustMark, nowMs: number): boolean {
    const isKnown = this.#sql.exec("SELECT id FROM trust_marks WHERE id = ?", mark.id).toArray().length > 0;
    if (isKnown) return false;
    this.#sql.exec(
      "INSERT INTO trust_marks (id, mark, at_ms) VALUES (?, ?, ?)",
      ...[mark.id, JSON.stringify(mark), mark.atMs],
    );
    if (nowMs - this.#forgotAtMs >= forgetEveryMs) {
      this.#forgotAtMs = nowMs;
      this.#sql.exec("DELETE FROM trust_marks WHERE at_ms < ?", nowMs - marksKeptMs);
    }
    this.#write(marked(this.#read(nowMs), mark, nowMs));
    return true;
  }

  /** A person has looked at the node and lets it back in, as a new one. */
  pardon(nowMs: number): void {
    this.#write(pardon(this.#read(nowMs), nowMs));
  }

  /** What was said of it, newest first. */
  marks(): TrustMark[] {
    return this.#sql
      .exec<{ mark: string }>(`SELECT mark FROM trust_marks ORDER BY at_ms DESC, id LIMIT ${listedMarks}`)
      .toArray()
      .map(({ mark }) => trustMarkSchema.parse(JSON.parse(mark)));
  }

  #read(nowMs: number): Reputation {
    if (this.#reputation !== undefined) return this.#reputation;
    const row = this.#sql.exec<{ reputation: string }>("SELECT reputation FROM trust").toArray()[0];
    const read = row === undefined ? newReputation(nowMs) : reputationSchema.parse(JSON.parse(row.reputation));
    this.#reputation = read;
    return read;
  }

  #write(reputation: Reputation): void {
    this.#reputation = reputation;
    this.#sql.exec("DELETE FROM trust");
    this.#sql.exec("INSERT INTO trust (reputation) VALUES (?)", JSON.stringify(reputation));
  }
}

function marked(before: Reputation, mark: TrustMark, nowMs: number): Reputation {
  switch (mark.type) {
    case "verdict":
      return noteVerdict(before, mark, nowMs);
    case "overturned":
      return noteOverturned(before, mark.taskId, nowMs);
    case "suspicion":
      return noteSuspicion(before, nowMs);
    case "validation":
      return noteValidation(before, mark, nowMs);
    case "takeBack":
      return takeBackValidation(before, mark, nowMs);
  }
}
