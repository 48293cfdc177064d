import fc from "fast-check";
import { type FuzzRequest, fuzzRequests } from "./requests.ts";

/** Longest time that any of these requests may take; the answers are short. */
const hangMs = 60_000;

export interface FuzzReport {
  requests: number;
  /** Answers by status. */
  statuses: ReadonlyMap<number, number>;
  /** Requests that were answered with a 5xx, not at all, or not in time; each with its path of the seed. */
  problems: string[];
}

/** Sends requests drawn from a seed for so long, several at once. A 503 where there was no room says nothing. */
export async function fuzz({
  origin,
  apiKey,
  models,
  seed,
  forMs,
  atOnce,
}: {
  /** Without `/v1`. */
  origin: string;
  apiKey: string;
  models: { chat: string; embedding: string };
  seed: number;
  forMs: number;
  atOnce: number;
}): Promise<FuzzReport> {
  const statuses = new Map<number, number>();
  const problems: string[] = [];
  const untilMs = Date.now() + forMs;
  let requests = 0;
  const worker = async (number: number) => {
    for (let round = 0; Date.now() < untilMs && problems.length < 20; round += 1) {
      const drawn = fc.sample(fuzzRequests(models), { seed: seed + number * 1_000_003 + round, numRuns: 50 });
      for (const request of drawn) {
        if (Date.now() >= untilMs) return;
        requests += 1;
        const told = await send(request, { origin, apiKey });
        if (typeof told === "number") statuses.set(told, (statuses.get(told) ?? 0) + 1);
        if (isProblem(told)) problems.push(`${told}: ${JSON.stringify(request).slice(0, 2_000)}`);
      }
    }
  };
  await Promise.all(Array.from({ length: atOnce }, (_, number) => worker(number)));
  return { requests, statuses, problems };
}

function isProblem(told: number | string): boolean {
  return typeof told === "string" || (told >= 500 && told !== 503);
}

/** The status, or what went wrong: also an error within a stream that is our own fault. */
async function send(
  { method, path, body, headers }: FuzzRequest,
  { origin, apiKey }: { origin: string; apiKey: string },
): Promise<number | string> {
  try {
    const response = await fetch(`${origin}${path}`, {
      method,
      ...(body === undefined ? {} : { body }),
      headers: { ...headers, authorization: `Bearer ${apiKey}` },
      signal: AbortSignal.timeout(hangMs),
    });
    const text = await response.text();
    if (text.includes('"internal_error"')) return `an internal error within: ${text.slice(-500)}`;
    return response.status;
  } catch (error) {
    return String(error);
  }
}
