import { shelfTable } from "./account-shelf.ts";
import type { Migration } from "./migrate.ts";
import { outboxLeases, outboxTable } from "./outbox.ts";

/** Tables of an AccountObject. Append only. */
export const accountMigrations: readonly Migration[] = [
  {
    number: 1,
    sql: `
      CREATE TABLE account (id TEXT PRIMARY KEY, created_at_ms INTEGER NOT NULL);
      CREATE TABLE keys (
        id TEXT PRIMARY KEY,
        secret_sha256 TEXT NOT NULL UNIQUE,
        name TEXT NOT NULL,
        hint TEXT NOT NULL,
        created_at_ms INTEGER NOT NULL,
        revoked_at_ms INTEGER
      );
      CREATE TABLE invites (
        id TEXT PRIMARY KEY,
        secret_sha256 TEXT NOT NULL UNIQUE,
        name TEXT NOT NULL,
        hint TEXT NOT NULL,
        max_nodes INTEGER NOT NULL,
        created_at_ms INTEGER NOT NULL,
        expires_at_ms INTEGER,
        revoked_at_ms INTEGER
      );
      CREATE TABLE invite_nodes (
        invite_id TEXT NOT NULL REFERENCES invites (id),
        node_id TEXT NOT NULL,
        PRIMARY KEY (invite_id, node_id)
      )`,
  },
  outboxTable(2),
  outboxLeases(3),
  shelfTable(4),
];
