import { type Counts, total } from "./counts.ts";
import { tariff } from "./tariff.ts";

/** What one request costs of everything that is priced; the averages of many requests. */
export interface PerRequest {
  /** Calls on the request's own way, one after the other. */
  serialCalls: number;
  /** Requests as Cloudflare bills them to objects: all calls, alarms, and a twentieth of the messages in. */
  billedObjectRequests: number;
  framesIn: number;
  framesOut: number;
  messagesIn: number;
  rowsRead: number;
  rowsWritten: number;
}

/** Counts of a run, divided by its number of requests. */
export function perRequest(counts: Counts, requests: number): PerRequest {
  const calls = total(counts.workerCalls) + total(counts.objectCalls);
  return {
    serialCalls: total(counts.workerCalls) / requests,
    billedObjectRequests: (calls + counts.alarmsRung + counts.messagesIn / tariff.messagesPerRequest) / requests,
    framesIn: counts.framesIn / requests,
    framesOut: counts.framesOut / requests,
    messagesIn: counts.messagesIn / requests,
    rowsRead: counts.rowsRead / requests,
    rowsWritten: counts.rowsWritten / requests,
  };
}

/** What a million requests cost in US dollars, by what is billed. */
export interface Bill {
  workerRequests: number;
  workerCpu: number;
  objectRequests: number;
  objectDuration: number;
  rowsRead: number;
  rowsWritten: number;
  total: number;
}

/**
 * The bill of a million requests past what the plan includes. `cpuMs` is CPU time a request, `activeObjectMs` how long
 * objects are active for it, their times added.
 */
export function priceOfMillion(
  per: PerRequest,
  { cpuMs, activeObjectMs }: { cpuMs: number; activeObjectMs: number },
): Bill {
  const parts = {
    workerRequests: tariff.workerRequests,
    workerCpu: cpuMs * tariff.workerCpuMs,
    objectRequests: per.billedObjectRequests * tariff.objectRequests,
    objectDuration: (activeObjectMs / 1_000) * tariff.gigabytesPerObject * tariff.objectGigabyteSeconds,
    rowsRead: per.rowsRead * tariff.rowsRead,
    rowsWritten: per.rowsWritten * tariff.rowsWritten,
  };
  return { ...parts, total: total(parts) };
}
