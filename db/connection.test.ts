import { once } from "node:events";
import { createServer } from "node:http";
import { sql } from "drizzle-orm";
import { expect, onTestFinished, test, vi } from "vitest";
import { connect } from "./connection.ts";

/** A server on a free port that answers with `answer`, or never where it is undefined. */
async function listening(answer: object | undefined): Promise<string> {
  const server = createServer((_request, response) => {
    if (answer !== undefined) response.end(JSON.stringify(answer));
  });
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  return `http://127.0.0.1:${address.port}/sql`;
}

function answerOf(name: string): object {
  return { fields: [{ name: "who", dataTypeID: 25 }], rows: [[name]], command: "SELECT", rowCount: 1 };
}

test("a Postgres that never answers fails each call after its time, not only the first", async () => {
  const fetchEndpoint = await listening(undefined);
  const database = connect({ databaseUrl: "postgres://u:p@hung.test/db", fetchEndpoint, timeoutMs: 50 });
  for (let call = 0; call < 2; call += 1) {
    await expect(database.batch([database.execute(sql`select 1`)])).rejects.toThrow("aborted due to timeout");
  }
});

test("each call gets five seconds of its own", async () => {
  const timeout = vi.spyOn(AbortSignal, "timeout");
  onTestFinished(() => timeout.mockRestore());
  const database = connect({
    databaseUrl: "postgres://u:p@quick.test/db",
    fetchEndpoint: await listening(answerOf("quick")),
  });
  await database.execute(sql`select 1`);
  await database.execute(sql`select 1`);
  expect(timeout.mock.calls).toEqual([[5_000], [5_000]]);
});

test("two connections of one process ask each its own endpoint", async () => {
  const [one, two] = await Promise.all([listening(answerOf("one")), listening(answerOf("two"))]);
  const first = connect({ databaseUrl: "postgres://u:p@one.test/db", fetchEndpoint: one });
  const second = connect({ databaseUrl: "postgresql://u:p@two.test:5432/db", fetchEndpoint: two });
  expect((await first.execute(sql`select 1`)).rows).toEqual([{ who: "one" }]);
  expect((await second.execute(sql`select 1`)).rows).toEqual([{ who: "two" }]);
});
