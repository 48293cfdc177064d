import { vi } from "vitest";

/** The record as the router reaches it: Neon's HTTP endpoint, which this answers in the place of Postgres. */
export interface FakePostgres {
  /** While true, no request reaches it. */
  isDown: boolean;
  /** Bodies of the batches it has confirmed, oldest first. */
  readonly batches: string[];
  /** Requests that found it down. */
  readonly lost: string[];
}

/** Stands in for Postgres in this test file: takes every batch and says yes while it is not down. */
export function standInForPostgres(): FakePostgres {
  const postgres: FakePostgres = { isDown: false, batches: [], lost: [] };
  vi.stubGlobal("fetch", async (_input: RequestInfo, init?: RequestInit) => {
    const body = String(init?.body);
    if (postgres.isDown) {
      postgres.lost.push(body);
      throw new Error("Postgres is down");
    }
    postgres.batches.push(body);
    return Response.json({ results: [] });
  });
  return postgres;
}
