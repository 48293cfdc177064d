import type { Migration } from "./migrate.ts";
import { outboxLeases, outboxTable } from "./outbox.ts";

/** Tables of a NodeObject: whose it is, what it last said of itself, and tasks that Postgres has not confirmed. */
export const nodeMigrations: readonly Migration[] = [
  {
    number: 1,
    sql: `CREATE TABLE node (
      id TEXT PRIMARY KEY,
      account_id TEXT NOT NULL,
      public_key TEXT NOT NULL,
      epoch INTEGER NOT NULL,
      registered_at_ms INTEGER NOT NULL,
      models TEXT NOT NULL
    )`,
  },
  outboxTable(2),
  outboxLeases(3),
  {
    number: 4,
    // Names the process whose attempts live on across its sockets, and what its lost sockets have earned it.
    sql: `ALTER TABLE node ADD COLUMN resume_token TEXT NOT NULL DEFAULT '';
      ALTER TABLE node ADD COLUMN flaps TEXT NOT NULL DEFAULT '{"lossesMs":[],"asideUntilMs":0,"timesAside":0}'`,
  },
  {
    number: 5,
    // What checks have said of it, and what it has earned by that.
    sql: `CREATE TABLE trust (reputation TEXT NOT NULL);
      CREATE TABLE trust_marks (id TEXT PRIMARY KEY, mark TEXT NOT NULL, at_ms INTEGER NOT NULL)`,
  },
];
