import { describe, expect, test } from "vitest";
import {
  accountIdSchema,
  attemptIdSchema,
  base32,
  inviteIdSchema,
  keyIdSchema,
  modelHashSchema,
  newAccountId,
  newAttemptId,
  newTaskId,
  nodeIdSchema,
  randomText,
  taskIdSchema,
} from "./ids.ts";

const bytes = (text: string) => new TextEncoder().encode(text);

/** Made with the encoder of RFC 4648 §6 and its letters exchanged for Crockford's, in lower case, without padding. */
test.each([
  ["", ""],
  ["f", "cr"],
  ["fo", "csqg"],
  ["foo", "csqpy"],
  ["foob", "csqpyrg"],
  ["fooba", "csqpyrk1"],
  ["foobar", "csqpyrk1e8"],
])("base32 of %j is %j", (text, encoded) => {
  expect(base32(bytes(text))).toBe(encoded);
});

test.each([
  ["zeros", new Uint8Array(5), "00000000"],
  ["ones", new Uint8Array(5).fill(255), "zzzzzzzz"],
  ["every letter", Uint8Array.from(Array.from({ length: 32 }, (_, index) => index << 3)), undefined],
] as const)("base32 of %s keeps to its alphabet", (_what, input, encoded) => {
  const text = base32(input);
  expect(text).toMatch(/^[0-9abcdefghjkmnpqrstvwxyz]*$/);
  expect(text).toHaveLength(Math.ceil((input.length * 8) / 5));
  if (encoded !== undefined) expect(text).toBe(encoded);
});

test.each([1, 7, 26, 40])("random text of %i characters has that many, and no two are alike", (length) => {
  expect(randomText(length)).toMatch(new RegExp(`^[0-9a-hjkmnp-tv-z]{${length}}$`));
  if (length > 20) expect(new Set(Array.from({ length: 200 }, () => randomText(length))).size).toBe(200);
});

test("fresh ids are what their schemas take", () => {
  expect(taskIdSchema.parse(newTaskId())).toMatch(/^task_.{26}$/);
  expect(attemptIdSchema.parse(newAttemptId())).toMatch(/^attempt_.{26}$/);
  expect(accountIdSchema.parse(newAccountId())).toHaveLength(12);
});

describe.each([
  ["task", taskIdSchema],
  ["attempt", attemptIdSchema],
  ["node", nodeIdSchema],
  ["key", keyIdSchema],
  ["invite", inviteIdSchema],
] as const)("an id of a %s", (prefix, schema) => {
  test.each<[text: unknown, isTaken: boolean]>([
    [`${prefix}_0a1b`, true],
    [`${prefix}_${"z".repeat(80)}`, true],
    [`${prefix}_abc`, false],
    [`${prefix}_${"z".repeat(81)}`, false],
    [`${prefix}_ABCD`, false],
    [`${prefix}_ab-d`, false],
    [`${prefix}-abcd`, false],
    [`other_abcd`, false],
    [` ${prefix}_abcd`, false],
    [`${prefix}_abcd\n`, false],
    [`${prefix}_abcd\nx`, false],
    ["", false],
    [7, false],
    [null, false],
  ])("%j: %s", (text, isTaken) => {
    expect(schema.safeParse(text).success).toBe(isTaken);
  });
});

test.each<[text: string, isTaken: boolean]>([
  ["abcd", true],
  ["a".repeat(32), true],
  ["abc", false],
  ["a".repeat(33), false],
  ["ABCD", false],
  ["ab-cd", false],
  ["ab_cd", false],
  ["abcd\n", false],
])("account id %j: %s", (text, isTaken) => {
  expect(accountIdSchema.safeParse(text).success).toBe(isTaken);
});

test.each<[text: string, isTaken: boolean]>([
  ["0123456789abcdef".repeat(4), true],
  ["0123456789abcdef".repeat(4).toUpperCase(), false],
  ["0".repeat(63), false],
  ["0".repeat(65), false],
  [`${"0".repeat(63)}g`, false],
  [`${"0".repeat(64)}\n`, false],
])("model hash %j: %s", (text, isTaken) => {
  expect(modelHashSchema.safeParse(text).success).toBe(isTaken);
});
