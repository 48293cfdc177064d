import { z } from "zod";
import { type AccountId, accountIdSchema, type NodeId, nodeIdSchema } from "../../core/ids.ts";
import { type ModelCard, modelCardSchema } from "../../core/model/model-card.ts";
import { type Ability, abilities } from "../../core/node-pool/ability.ts";
import { type Migration, migrate } from "./migrate.ts";

/** Tables of a PoolObject: who is a member. Credits, claims and tickets live in memory only. */
const poolMigrations: readonly Migration[] = [
  {
    number: 1,
    sql: "CREATE TABLE members (node_id TEXT PRIMARY KEY, card TEXT NOT NULL, heard_at_ms INTEGER NOT NULL)",
  },
  { number: 2, sql: "CREATE TABLE self (name TEXT NOT NULL, shards INTEGER)" },
  {
    number: 3,
    sql: `ALTER TABLE members ADD COLUMN operator TEXT;
      ALTER TABLE members ADD COLUMN ability TEXT NOT NULL DEFAULT 'own'`,
  },
];

/** A member as it is stored: its card, and when it was last written down, milliseconds since the epoch. */
export interface StoredMember {
  nodeId: NodeId;
  /** Unknown, as what it can do, for one that joined before that was written down; it says so with its next word. */
  operator: AccountId | null;
  ability: Ability;
  card: ModelCard;
  heardAtMs: number;
}

/**
 * A pool's own name, which an object that is woken by its alarm is not told, and how many shards StatusObject last said
 * that its model has; null while it has not.
 */
export interface PoolSelf {
  name: string;
  shards: number | null;
}

/** What a pool keeps through a reset. */
export class PoolTables {
  readonly #sql: SqlStorage;

  /** Brings the tables up to date. */
  constructor(storage: DurableObjectStorage) {
    migrate(storage, poolMigrations);
    this.#sql = storage.sql;
  }

  /** Every member, who was heard of longest ago first. */
  members(): StoredMember[] {
    return this.#sql
      .exec<{ node_id: string; operator: string | null; ability: string; card: string; heard_at_ms: number }>(
        "SELECT node_id, operator, ability, card, heard_at_ms FROM members ORDER BY heard_at_ms, node_id",
      )
      .toArray()
      .map((row) => ({
        nodeId: nodeIdSchema.parse(row.node_id),
        operator: accountIdSchema.nullable().parse(row.operator),
        ability: z.enum(abilities).parse(row.ability),
        card: modelCardSchema.parse(JSON.parse(row.card)),
        heardAtMs: row.heard_at_ms,
      }));
  }

  writeMember({ nodeId, operator, ability, card, heardAtMs }: StoredMember): void {
    this.#sql.exec(
      "INSERT OR REPLACE INTO members (node_id, operator, ability, card, heard_at_ms) VALUES (?, ?, ?, ?, ?)",
      ...[nodeId, operator, ability, JSON.stringify(card), heardAtMs],
    );
  }

  deleteMember(nodeId: NodeId): void {
    this.#sql.exec("DELETE FROM members WHERE node_id = ?", nodeId);
  }

  /** What this pool knows of itself; `undefined` while it never had a member. */
  self(): PoolSelf | undefined {
    return this.#sql.exec<{ name: string; shards: number | null }>("SELECT name, shards FROM self").toArray()[0];
  }

  writeSelf({ name, shards }: PoolSelf): void {
    this.#sql.exec("DELETE FROM self");
    this.#sql.exec("INSERT INTO self (name, shards) VALUES (?, ?)", name, shards);
  }
}
