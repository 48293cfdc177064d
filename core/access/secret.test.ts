import { expect, test } from "vitest";
import { accountIdSchema } from "../ids.ts";
import { hashSecret, newSecret, parseSecret } from "./secret.ts";

const account = accountIdSchema.parse("acct1234");
const secret = "0123456789abcdefghjkmnpqrstvwxyz";

test.each(["sk", "inv"] as const)("a fresh %s names its account and parses back", (kind) => {
  const text = newSecret(kind, account);
  expect(text).toMatch(new RegExp(`^${kind}-acct1234-[0-9a-hjkmnp-tv-z]{32}$`));
  expect(parseSecret(text)).toEqual({ kind, accountId: account, text });
});

test("no two secrets are alike", () => {
  expect(new Set(Array.from({ length: 500 }, () => newSecret("sk", account))).size).toBe(500);
});

test.each<[what: string, text: string]>([
  ["nothing", ""],
  ["no secret", "sk-acct1234"],
  ["an empty secret", "sk-acct1234-"],
  ["a secret too short", `sk-acct1234-${secret.slice(1)}`],
  ["a secret too long", `sk-acct1234-${secret}0`],
  ["a kind that is not ours", `pk-acct1234-${secret}`],
  ["another provider's key", `sk-proj-acct1234-${secret}`],
  ["no account", `sk--${secret}`],
  ["an account too short", `sk-abc-${secret}`],
  ["an account too long", `sk-${"a".repeat(33)}-${secret}`],
  ["upper case", `SK-ACCT1234-${secret.toUpperCase()}`],
  ["a space before", ` sk-acct1234-${secret}`],
  ["a line end after", `sk-acct1234-${secret}\n`],
  ["a second line", `sk-acct1234-${secret}\nsk-acct1234-${secret}`],
  ["a letter that looks like another", `sk-acct1234-${secret.slice(1)}ö`],
])("%s is not a secret", (_what, text) => {
  expect(parseSecret(text)).toBeUndefined();
});

test("the control: the text these refusals are made from is a secret", () => {
  expect(parseSecret(`sk-acct1234-${secret}`)).toMatchObject({ kind: "sk", accountId: "acct1234" });
});

test("a secret is stored as its SHA-256", async () => {
  // FIPS 180-2, appendix B.1.
  expect(await hashSecret("abc")).toBe("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  expect(await hashSecret(`sk-acct1234-${secret}`)).not.toBe(await hashSecret(`inv-acct1234-${secret}`));
});
