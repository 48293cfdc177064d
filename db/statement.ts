import { fillPlaceholders, type Query, type SQL, sql } from "drizzle-orm";
import { drizzle } from "drizzle-orm/neon-http";

/** Builds statements and runs none. */
const builder = drizzle.mock();

/**
 * A statement that takes all its rows as one JSON parameter, so that its text is the same for one row and for hundreds
 * and is built once: building it anew for each batch costs more than sending the batch.
 */
export function statement<Rows>(
  toJson: (rows: Rows) => unknown,
  build: (database: typeof builder, json: SQL) => { toSQL(): Query },
): (rows: Rows) => Query {
  let built: Query | undefined;
  return (rows) => {
    built ??= build(builder, sql`${sql.placeholder("rows")}::json`).toSQL();
    return { sql: built.sql, params: fillPlaceholders(built.params, { rows: JSON.stringify(toJson(rows)) }) };
  };
}
