import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { sql } from "drizzle-orm";
import { readMigrationFiles } from "drizzle-orm/migrator";
import { z } from "zod";
import { connect, type Database } from "./connection.ts";

const migrationsFolder = fileURLToPath(new URL("migrations", import.meta.url));

/** The part of drizzle-kit's journal that is read here. */
const journalSchema = z.object({ entries: z.array(z.object({ when: z.int(), tag: z.string() })) });

/**
 * Brings the database to the schema of `db/schema`; returns the names of the migrations it applied, oldest first, none
 * where there was nothing to do.
 *
 * Files, order and the table `drizzle.__drizzle_migrations` are those of drizzle's own migrator. That one posts every
 * statement by itself over HTTP and notes what it did at the very end, so a lost connection half-way would leave a
 * database that no run can finish; here each migration and its note are one transaction. Throws `NeonDbError`.
 */
export async function migrate(database: Database): Promise<string[]> {
  await database.batch([
    database.execute(sql`create schema if not exists drizzle`),
    database.execute(
      sql`create table if not exists drizzle.__drizzle_migrations (id serial primary key, hash text not null, created_at bigint)`,
    ),
  ]);
  const { rows } = await database.execute(sql`select max(created_at) as latest from drizzle.__drizzle_migrations`);
  const latestMs = z.coerce.number().parse(rows[0]?.latest ?? -1);
  const applied: string[] = [];
  for (const migration of readMigrationFiles({ migrationsFolder })) {
    if (migration.folderMillis <= latestMs) continue;
    const note = sql`insert into drizzle.__drizzle_migrations (hash, created_at) values (${migration.hash}, ${migration.folderMillis})`;
    await database.batch([
      database.execute(note),
      ...migration.sql.map((statement) => database.execute(sql.raw(statement))),
    ]);
    applied.push(tagOf(migration.folderMillis));
  }
  return applied;
}

/** The name of the migration made at `whenMs`, as `0000_record`. */
function tagOf(whenMs: number): string {
  const journal = journalSchema.parse(JSON.parse(readFileSync(`${migrationsFolder}/meta/_journal.json`, "utf8")));
  return journal.entries.find((entry) => entry.when === whenMs)?.tag ?? String(whenMs);
}

if (import.meta.main) {
  const environment = z
    .object({
      DATABASE_URL: z.string({ error: "Set DATABASE_URL to the postgres:// address of the database to migrate." }),
      NEON_FETCH_ENDPOINT: z.string().optional(),
    })
    .safeParse(process.env);
  if (!environment.success) {
    console.error(environment.error.issues.map((issue) => issue.message).join("\n"));
    process.exit(1);
  }
  const { DATABASE_URL, NEON_FETCH_ENDPOINT } = environment.data;
  // A migration may rewrite a table, which takes longer than any query of the router may.
  const database = connect({ databaseUrl: DATABASE_URL, fetchEndpoint: NEON_FETCH_ENDPOINT, timeoutMs: 600_000 });
  try {
    const applied = await migrate(database);
    for (const name of applied) console.log(`applied ${name}`);
    if (applied.length === 0) console.log("nothing to apply");
  } catch (error) {
    console.error("The database was not migrated; a migration that failed has left nothing behind.", error);
    process.exit(1);
  }
}
