import { getTableColumns, type SQL, sql } from "drizzle-orm";
import type { PgTable } from "drizzle-orm/pg-core";

/**
 * `rows` as a query for `insert(table).select(…)`, in the order of the table's columns.
 *
 * All rows travel as one JSON parameter, so that the statement is the same for one row and for thousands: Postgres
 * takes at most 65,535 parameters in one statement, which 500 tasks with their attempts would pass. Every value goes as
 * text in Postgres's own notation and is cast to its column's type. A missing property is NULL.
 */
export function rowsOf<Table extends PgTable>(table: Table, rows: readonly Table["$inferInsert"][]): SQL {
  const columns = Object.entries(getTableColumns(table));
  const json = rows.map((row) => {
    const values = new Map<string, unknown>(Object.entries(row));
    return Object.fromEntries(
      columns.map(([property, column]) => {
        const value = values.get(property) ?? null;
        return [column.name, value === null ? null : column.mapToDriverValue(value)];
      }),
    );
  });
  const casts = columns.map(([, column]) => sql`${sql.identifier(column.name)}::${sql.raw(column.getSQLType())}`);
  const names = columns.map(([, column]) => sql`${sql.identifier(column.name)} text`);
  return sql`select ${sql.join(casts, sql`, `)} from json_to_recordset(${JSON.stringify(json)}::json) as told(${sql.join(names, sql`, `)})`;
}
