import { getTableColumns, type SQL, sql } from "drizzle-orm";
import type { PgTable } from "drizzle-orm/pg-core";

/**
 * The rows of a JSON parameter as a query for `insert(table).select(…)`, in the order of the table's columns. They
 * travel as one parameter since Postgres takes at most 65,535 in one statement.
 */
export function rowsOf(table: PgTable, json: SQL): SQL {
  const columns = Object.values(getTableColumns(table));
  const casts = columns.map((column) => sql`${sql.identifier(column.name)}::${sql.raw(column.getSQLType())}`);
  const names = columns.map((column) => sql`${sql.identifier(column.name)} text`);
  return sql`select ${sql.join(casts, sql`, `)} from json_to_recordset(${json}) as told(${sql.join(names, sql`, `)})`;
}

/** What {@link rowsOf} takes: every value as text in Postgres's own notation; a missing property is NULL. */
export function toJsonRows<Table extends PgTable>(table: Table): (rows: readonly Table["$inferInsert"][]) => unknown {
  const columns = Object.entries(getTableColumns(table));
  return (rows) =>
    rows.map((row) => {
      const values = new Map<string, unknown>(Object.entries(row));
      return Object.fromEntries(
        columns.map(([property, column]) => {
          const value = values.get(property) ?? null;
          return [column.name, value === null ? null : column.mapToDriverValue(value)];
        }),
      );
    });
}
