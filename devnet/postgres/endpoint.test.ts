import { neon } from "@neondatabase/serverless";
import { sql } from "drizzle-orm";
import { afterAll, beforeAll, expect, test } from "vitest";
import { connect, type Database } from "../../db/connection.ts";
import { type PostgresEndpoint, startPostgresEndpoint } from "./endpoint.ts";

const password = "pass word%/ü";
let endpoint: PostgresEndpoint;
let database: Database;

beforeAll(async () => {
  endpoint = await startPostgresEndpoint({ password });
  database = connect({ databaseUrl: endpoint.connectionString, fetchEndpoint: endpoint.fetchEndpoint });
}, 60_000);
afterAll(() => endpoint.close());

/** One value, as drizzle's driver gives it. */
async function theValue(query: ReturnType<typeof sql>): Promise<unknown> {
  const { rows } = await database.execute(query);
  return rows[0]?.value;
}

const text = `naïve 😀 "quoted" 'single' back\\slash {braces},\n\ttab ${"x".repeat(100_000)}`;

test.each<[type: string, sent: unknown, received: unknown]>([
  ["text", text, text],
  ["text", "", ""],
  ["text", null, null],
  ["integer", -2_147_483_648, -2_147_483_648],
  ["bigint", "9223372036854775807", "9223372036854775807"],
  ["double precision", 0.1, 0.1],
  ["numeric", "12345678901234567890.123", "12345678901234567890.123"],
  ["boolean", true, true],
  ["boolean", false, false],
  // The driver's parser of times is set to identity by drizzle, whose columns parse them.
  ["timestamptz", "2026-01-02T03:04:05.678Z", "2026-01-02 03:04:05.678+00"],
  ["jsonb", { a: [1, "😀", null], b: { c: true } }, { a: [1, "😀", null], b: { c: true } }],
  ["bytea", Buffer.from([0, 1, 255]), Buffer.from([0, 1, 255])],
  ["integer[]", [1, -2], [1, -2]],
  ["text[]", ['a"b\\c', "d,e{}", "", "😀", null], ['a"b\\c', "d,e{}", "", "😀", null]],
  ["boolean[]", [true, false], [true, false]],
])("a %s comes back as it was sent (%#)", async (type, sent, received) => {
  expect(await theValue(sql`select ${sql.param(sent)}::${sql.raw(type)} as value`)).toEqual(received);
});

test("results carry Neon's fields, rows, command and count", async () => {
  const query = neon(endpoint.connectionString, { fullResults: true });
  await query`create table counted (a integer primary key)`;
  expect(await query`insert into counted select generate_series(1, 5)`).toMatchObject({
    command: "INSERT",
    rowCount: 5,
  });
  expect(await query`select a, null as b from counted where a < 3`).toMatchObject({
    command: "SELECT",
    rowCount: 2,
    rows: [
      { a: 1, b: null },
      { a: 2, b: null },
    ],
    fields: [
      { name: "a", dataTypeID: 23, format: "text" },
      { name: "b", dataTypeID: 25 },
    ],
  });
  expect(await query`create table other (a integer)`).toMatchObject({ command: "CREATE", rowCount: null, rows: [] });
  expect(await query.query("", [])).toMatchObject({ rows: [] });
});

test("rows come as arrays where they are asked for", async () => {
  expect(await neon(endpoint.connectionString, { arrayMode: true })`select 1 as a, 'x' as b`).toEqual([[1, "x"]]);
});

test("a batch whose last statement fails changes nothing", async () => {
  await database.execute(sql`create table whole (a integer primary key)`);
  const batch = database.batch([
    database.execute(sql`insert into whole values (1)`),
    database.execute(sql`insert into whole values (2)`),
    database.execute(sql`insert into whole values (1)`),
  ]);
  await expect(batch).rejects.toMatchObject({ code: "23505" });
  expect(await theValue(sql`select count(*)::integer as value from whole`)).toBe(0);
});

test("a batch whose commit fails changes nothing", async () => {
  await database.execute(sql`create table parent (a integer primary key)`);
  await database.execute(sql`create table child (a integer references parent deferrable initially deferred)`);
  const batch = database.batch([database.execute(sql`insert into child values (1)`)]);
  await expect(batch).rejects.toMatchObject({ code: "23503" });
  expect(await theValue(sql`select count(*)::integer as value from child`)).toBe(0);
});

test("batches at the same time do not see each other half done", async () => {
  await database.execute(sql`create table counter (a integer)`);
  await database.execute(sql`insert into counter values (0)`);
  const one = () =>
    database.batch([
      database.execute(sql`update counter set a = a + 1`),
      database.execute(sql`update counter set a = a + 1`),
      database.execute(sql`select a % 2 as value from counter`),
    ]);
  const results = await Promise.all(Array.from({ length: 10 }, one));
  expect(results.map(([, , odd]) => odd.rows[0]?.value)).toEqual(Array.from({ length: 10 }, () => 0));
  expect(await theValue(sql`select a as value from counter`)).toBe(20);
});

test("a batch runs at the isolation level and with the access that it asks for", async () => {
  const query = neon(endpoint.connectionString);
  const settings = [
    query`show transaction_isolation`,
    query`show transaction_read_only`,
    query`show transaction_deferrable`,
  ];
  expect(await query.transaction(settings)).toEqual([
    [{ transaction_isolation: "read committed" }],
    [{ transaction_read_only: "off" }],
    [{ transaction_deferrable: "off" }],
  ]);
  const options = { isolationLevel: "Serializable", readOnly: true, deferrable: true } as const;
  expect(await query.transaction(settings, options)).toEqual([
    [{ transaction_isolation: "serializable" }],
    [{ transaction_read_only: "on" }],
    [{ transaction_deferrable: "on" }],
  ]);
  await expect(query.transaction([query`create table no (a integer)`], { readOnly: true })).rejects.toMatchObject({
    code: "25006",
  });
});

test.each<[guarantee: string, statement: string]>([
  ["an open transaction", "begin"],
  ["a setting", "set statement_timeout = 12345"],
  ["a temporary table", "create temporary table leftover (a integer)"],
])("%s does not outlive its request", async (_guarantee, statement) => {
  await database.execute(sql.raw(statement));
  expect(await theValue(sql`select current_setting('statement_timeout') as value`)).toBe("0");
  expect(await theValue(sql`select to_regclass('leftover') is null as value`)).toBe(true);
  // Outside of a transaction each statement has a time of its own.
  const times = [await theValue(sql`select now()::text as value`), await theValue(sql`select now()::text as value`)];
  expect(times[0]).not.toBe(times[1]);
});

test.each<[guarantee: string, statement: string, error: object]>([
  ["a syntax error names its place", "selec 1", { code: "42601", position: "1", severity: "ERROR" }],
  ["a division by zero has its code", "select 1/0", { code: "22012", message: "division by zero" }],
  ["a missing table has its code", "select * from nowhere", { code: "42P01" }],
  ["two statements in one are refused", "select 1; select 2", { code: "42601" }],
  ["COPY is refused and breaks nothing", "copy pg_class from stdin", { severity: "ERROR" }],
  ["the character 0 in a query is refused", "select 1 -- \u0000", { code: "08P01" }],
  ["a missing parameter is refused", "select $1::text", { code: "08P01" }],
])("%s", async (_guarantee, statement, error) => {
  const query = neon(endpoint.connectionString);
  await expect(query.query(statement)).rejects.toMatchObject({ name: "NeonDbError", ...error });
  expect(await query`select 1 as fine`).toEqual([{ fine: 1 }]);
});

test("a violated constraint is named with its table", async () => {
  await database.execute(sql`create table bounded (a integer constraint small check (a < 10))`);
  await expect(neon(endpoint.connectionString)`insert into bounded values (10)`).rejects.toMatchObject({
    code: "23514",
    table: "bounded",
    constraint: "small",
  });
});

test.each([["wrong"], [""], [`${password} `]])("the password %j is refused", async (wrong) => {
  const address = endpoint.connectionString.replace(/:[^:@]*@/, `:${encodeURIComponent(wrong)}@`);
  await expect(neon(address)`select 1`).rejects.toMatchObject({ name: "NeonDbError", code: "28P01" });
});

test("a request that is not the driver's is refused in words", async () => {
  const { fetchEndpoint, connectionString, port } = endpoint;
  const headers = { "Neon-Connection-String": connectionString, "Neon-Raw-Text-Output": "true" };
  const post = (body: string, given: Record<string, string> = headers) =>
    fetch(fetchEndpoint, { method: "POST", body, headers: given });
  expect((await post("{")).status).toBe(400);
  expect((await post('{"params":[]}')).status).toBe(400);
  expect((await post('{"query":"select 1"}', {})).status).toBe(400);
  const parsed = await post('{"query":"select 1"}', { ...headers, "Neon-Raw-Text-Output": "false" });
  expect(await parsed.json()).toMatchObject({ code: "08P01", message: expect.stringContaining("text only") });
  expect((await post(" ".repeat(64 * 1024 * 1024 + 1))).status).toBe(413);
  expect((await fetch(`http://127.0.0.1:${port}/nowhere`)).status).toBe(404);
  expect(await (await fetch(`http://127.0.0.1:${port}/healthz`)).json()).toEqual({ ok: true });
  expect(await theValue(sql`select 1 as value`)).toBe(1);
});
