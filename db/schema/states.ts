import { type SQL, type SQLWrapper, sql } from "drizzle-orm";

/** The condition that a column holds one of `values`, which are our own words and need no quoting but the quotes. */
export function isOneOf(column: SQLWrapper, values: readonly string[]): SQL {
  return sql`${column} in (${sql.raw(values.map((value) => `'${value}'`).join(", "))})`;
}
