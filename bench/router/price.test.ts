import { describe, expect, test } from "vitest";
import { noCounts } from "./counts.ts";
import { type Bill, type PerRequest, perRequest, priceOfMillion } from "./price.ts";

const free: PerRequest = {
  serialCalls: 0,
  billedObjectRequests: 0,
  framesIn: 0,
  framesOut: 0,
  messagesIn: 0,
  rowsRead: 0,
  rowsWritten: 0,
};

describe("a million requests", () => {
  test.each<
    [
      guarantee: string,
      per: Partial<PerRequest>,
      time: [cpuMs: number, activeMs: number],
      part: keyof Bill,
      dollars: number,
    ]
  >([
    ["cost 30 cents for the Worker alone", {}, [0, 0], "total", 0.3],
    ["of a millisecond of CPU each cost 2 cents of CPU", {}, [1, 0], "workerCpu", 0.02],
    ["of two calls each cost 30 cents of calls", { billedObjectRequests: 2 }, [0, 0], "objectRequests", 0.3],
    ["of three rows each cost 3 dollars of rows", { rowsWritten: 3 }, [0, 0], "rowsWritten", 3],
    ["that read ten rows each cost a cent of reading", { rowsRead: 10 }, [0, 0], "rowsRead", 0.01],
    ["that keep an object for a second each cost 1.60 dollars of duration", {}, [0, 1_000], "objectDuration", 1.6],
    ["cost the sum of all", { billedObjectRequests: 2, rowsWritten: 1 }, [1, 0], "total", 1.62],
  ])("%s", (_guarantee, per, [cpuMs, activeObjectMs], part, dollars) => {
    expect(priceOfMillion({ ...free, ...per }, { cpuMs, activeObjectMs })[part]).toBeCloseTo(dollars, 9);
  });
});

test("twenty messages in are billed as one request, beside every call and every alarm", () => {
  const counts = { ...noCounts(), workerCalls: { "NODE.run": 4 }, objectCalls: { "POOL.offer": 2 } };
  expect(perRequest({ ...counts, alarmsRung: 1, messagesIn: 20 }, 4)).toMatchObject({
    serialCalls: 1,
    billedObjectRequests: 2,
    messagesIn: 5,
  });
});
