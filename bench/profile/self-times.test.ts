import { expect, test } from "vitest";
import { type CpuProfile, selfTimes } from "./self-times.ts";

const frame = (id: number, functionName: string, url = "", lineNumber = 0) => ({
  id,
  callFrame: { functionName, url, lineNumber, columnNumber: 0 },
});

const profile: CpuProfile = {
  nodes: [
    frame(1, "(root)"),
    frame(2, "(idle)"),
    frame(3, "(program)"),
    frame(4, "parse", "bundle.js", 10),
    frame(5, "send", "bundle.js", 20),
    // The same function, called from somewhere else.
    frame(6, "parse", "bundle.js", 10),
  ],
  samples: [2, 4, 5, 6, 3],
  timeDeltas: [50_000, 3_000, 2_000, 4_000, 1_000],
};

const fileOf = ({ line }: { line: number }) => (line === 10 ? "core/parse.ts" : "edge/send.ts");

test("a function's time is its own, added over all its callers, and idle time is nobody's", () => {
  const { functions, busyMs } = selfTimes(profile, fileOf);
  expect(busyMs).toBe(10);
  expect(functions).toEqual([
    { name: "parse", file: "core/parse.ts", selfMs: 7, share: 0.7 },
    { name: "send", file: "edge/send.ts", selfMs: 2, share: 0.2 },
    { name: "(program)", file: "", selfMs: 1, share: 0.1 },
  ]);
});

test("times of a file are those of its functions, and native code stands for itself", () => {
  expect(selfTimes(profile, () => "core/all.ts").files.map(({ name, selfMs }) => [name, selfMs])).toEqual([
    ["core/all.ts", 9],
    ["(program)", 1],
  ]);
});
