import { expect, test } from "vitest";
import { readFlags } from "./flags.ts";

test("a directory and a password are enough", () => {
  expect(readFlags(["--data", "d", "--password", "p"])).toEqual({
    ok: true,
    flags: { data: "d", password: "p", port: 0, "exit-with-parent": false },
  });
  expect(readFlags(["--data", "d", "--password", "p", "--port", "65535", "--exit-with-parent"])).toMatchObject({
    flags: { port: 65_535, "exit-with-parent": true },
  });
});

test.each<[guarantee: string, flags: string[], words: string]>([
  ["a missing directory is said", ["--password", "p"], "--data is missing"],
  ["a missing password is said", ["--data", "d"], "--password is missing"],
  ["an empty password is said", ["--data", "d", "--password="], "--password is empty"],
  ["an unknown flag is said", ["--dta", "d"], "--dta"],
  [
    "a port that is no number is said",
    ["--data", "d", "--password", "p", "--port", "http"],
    "--port is no port number",
  ],
  ["a port past the last is said", ["--data", "d", "--password", "p", "--port", "65536"], "--port is no port number"],
])("%s, with how to call it", (_guarantee, flags, words) => {
  const read = readFlags(flags);
  expect(read).toMatchObject({ ok: false, problem: expect.stringContaining(words) });
  expect(read).toMatchObject({ problem: expect.stringContaining("node devnet/postgres/main.ts --data DIR") });
});
