import type { Migration } from "./migrate.ts";

/** What an account has besides its keys, listed by kind. */
export type ShelfKind = "file" | "batch";

export interface ShelfEntry {
  id: string;
  createdAtMs: number;
  /** Null where it stays until it is deleted. */
  expiresAtMs: number | null;
  /** JSON, as its owner reads it. */
  body: string;
}

export interface ShelfWish {
  limit: number;
  after: string | undefined;
  order: "asc" | "desc";
  /** Of files. */
  purpose?: string | undefined;
}

export interface ShelfPage {
  entries: ShelfEntry[];
  hasMore: boolean;
}

export function shelfTable(number: number): Migration {
  return {
    number,
    sql: `CREATE TABLE shelf (
        id TEXT PRIMARY KEY,
        kind TEXT NOT NULL,
        created_at_ms INTEGER NOT NULL,
        expires_at_ms INTEGER,
        body TEXT NOT NULL
      );
      CREATE INDEX shelf_by_kind ON shelf (kind, created_at_ms, id)`,
  };
}

type Row = { id: string; created_at_ms: number; expires_at_ms: number | null; body: string };

/** The files and batches of one account, by id. */
export class AccountShelf {
  readonly #sql: SqlStorage;

  constructor(sql: SqlStorage) {
    this.#sql = sql;
  }

  /** Puts an entry on the shelf; the same may come twice. */
  put(kind: ShelfKind, { id, createdAtMs, expiresAtMs, body }: ShelfEntry): void {
    this.#sql.exec(
      "INSERT OR REPLACE INTO shelf (id, kind, created_at_ms, expires_at_ms, body) VALUES (?, ?, ?, ?, ?)",
      ...[id, kind, createdAtMs, expiresAtMs, body],
    );
  }

  get(kind: ShelfKind, id: string, nowMs: number): ShelfEntry | undefined {
    const [row] = this.#sql
      .exec<Row>(
        "SELECT * FROM shelf WHERE id = ? AND kind = ? AND ifnull(expires_at_ms, ?) >= ?",
        id,
        kind,
        nowMs,
        nowMs,
      )
      .toArray();
    return row === undefined ? undefined : entryOf(row);
  }

  /** At most `limit` entries that come after the one of this id, in this order of their making; of one purpose, or any. */
  list(kind: ShelfKind, { limit, after, order, purpose, nowMs }: ShelfWish & { nowMs: number }): ShelfPage {
    const last = after === undefined ? undefined : this.get(kind, after, nowMs);
    const [isAfter, direction] = order === "asc" ? [">", "ASC"] : ["<", "DESC"];
    const place = last === undefined ? "" : `AND (created_at_ms, id) ${isAfter} (?, ?)`;
    const ofPurpose = purpose === undefined ? "" : "AND json_extract(body, '$.purpose') = ?";
    const rows = this.#sql
      .exec<Row>(
        `SELECT * FROM shelf WHERE kind = ? AND ifnull(expires_at_ms, ?) >= ? ${place} ${ofPurpose}
         ORDER BY created_at_ms ${direction}, id ${direction} LIMIT ?`,
        ...[kind, nowMs, nowMs, ...(last === undefined ? [] : [last.createdAtMs, last.id])],
        ...[...(purpose === undefined ? [] : [purpose]), limit + 1],
      )
      .toArray();
    return { entries: rows.slice(0, limit).map(entryOf), hasMore: rows.length > limit };
  }

  /** At most `limit` entries whose time is over. */
  expired({ nowMs, limit }: { nowMs: number; limit: number }): { id: string; kind: ShelfKind }[] {
    return this.#sql
      .exec<{ id: string; kind: ShelfKind }>(
        "SELECT id, kind FROM shelf WHERE expires_at_ms < ? ORDER BY expires_at_ms LIMIT ?",
        nowMs,
        limit,
      )
      .toArray();
  }

  /** When the next entry's time is over; `undefined` where all stay. */
  nextExpiryMs(): number | undefined {
    const { next } = this.#sql.exec<{ next: number | null }>("SELECT min(expires_at_ms) AS next FROM shelf").one();
    return next ?? undefined;
  }

  remove(id: string): void {
    this.#sql.exec("DELETE FROM shelf WHERE id = ?", id);
  }
}

function entryOf({ id, created_at_ms: createdAtMs, expires_at_ms: expiresAtMs, body }: Row): ShelfEntry {
  return { id, createdAtMs, expiresAtMs, body };
}
