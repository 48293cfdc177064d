/** One numbered change of an object's tables. Append-only: a number that was ever deployed keeps its SQL. */
export interface Migration {
  number: number;
  sql: string;
}

/**
 * Brings an object's SQLite tables up to date and returns the numbers applied now, ascending. Safe to call at each
 * start: what is applied is kept in the table `migrations` (SQLite in objects has no `PRAGMA user_version`).
 */
export function migrate(storage: DurableObjectStorage, migrations: readonly Migration[]): number[] {
  return storage.transactionSync(() => {
    storage.sql.exec("CREATE TABLE IF NOT EXISTS migrations (number INTEGER PRIMARY KEY)");
    const applied = new Set(
      storage.sql
        .exec<{ number: number }>("SELECT number FROM migrations")
        .toArray()
        .map((row) => row.number),
    );
    const due = migrations.filter((migration) => !applied.has(migration.number));
    for (const migration of due) {
      storage.sql.exec(migration.sql);
      storage.sql.exec("INSERT INTO migrations (number) VALUES (?)", migration.number);
    }
    return due.map((migration) => migration.number);
  });
}

/** True once an object has tables: an id that nobody ever wrote to is asked about without leaving a trace. */
export function isMigrated(storage: DurableObjectStorage): boolean {
  return (
    storage.sql.exec("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'migrations'").toArray().length > 0
  );
}
