import { readdirSync, readFileSync } from "node:fs";
import { generateDrizzleJson, generateMigration } from "drizzle-kit/api";
import { expect, test } from "vitest";
import { accounts } from "./schema/accounts.ts";
import { attempts } from "./schema/attempts.ts";
import { invites } from "./schema/invites.ts";
import { keys } from "./schema/keys.ts";
import { nodes } from "./schema/nodes.ts";
import { suspensions } from "./schema/suspensions.ts";
import { tasks } from "./schema/tasks.ts";
import { usage } from "./schema/usage.ts";
import { verdicts } from "./schema/verdicts.ts";

test("the schema files have nothing that the migrations lack", async () => {
  const schema = { accounts, attempts, invites, keys, nodes, suspensions, tasks, usage, verdicts };
  const meta = new URL("migrations/meta/", import.meta.url);
  const latest = readdirSync(meta)
    .filter((name) => name.endsWith("_snapshot.json"))
    .sort()
    .at(-1);
  const migrated = JSON.parse(readFileSync(new URL(latest ?? "missing", meta), "utf8"));
  expect(await generateMigration(migrated, generateDrizzleJson(schema))).toEqual([]);
  // The control: a table less is noticed.
  expect(await generateMigration(migrated, generateDrizzleJson({ ...schema, usage: undefined }))).not.toEqual([]);
});
