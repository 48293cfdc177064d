import { expect, test } from "vitest";
import { fromFloat16, toFloat16 } from "./float16.ts";

/** IEEE 754 binary16 by its definition. */
function fromHalf(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >>> 10) & 31;
  const fraction = bits & 0x3ff;
  if (exponent === 31) return fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY;
  return sign * (exponent === 0 ? fraction * 2 ** -24 : (1 + fraction / 1024) * 2 ** (exponent - 15));
}

const half = (value: number) => toFloat16(Float32Array.of(value))[0];

test("all sixteen bits stand for the number that the standard gives them", () => {
  const all = Array.from({ length: 0x10000 }, (_, bits) => bits);
  expect(all.map(fromFloat16)).toEqual(all.map(fromHalf));
});

test("every half-precision number is kept as it is", () => {
  const all = Array.from({ length: 0x10000 }, (_, bits) => bits).filter((bits) => !Number.isNaN(fromHalf(bits)));
  expect([...toFloat16(Float32Array.from(all, fromHalf))]).toEqual(all);
});

test("a value between two halves goes to the nearer, and from the middle to the even one", () => {
  const lower = Array.from({ length: 0x7bff }, (_, bits) => bits);
  const between = (share: number) =>
    toFloat16(Float32Array.from(lower, (bits) => fromHalf(bits) * (1 - share) + fromHalf(bits + 1) * share));
  expect([...between(0.25)]).toEqual(lower);
  expect([...between(0.75)]).toEqual(lower.map((bits) => bits + 1));
  expect([...between(0.5)]).toEqual(lower.map((bits) => bits + (bits % 2)));
});

test.each<[guarantee: string, value: number, bits: number]>([
  ["the largest half is not rounded away", 65504, 0x7bff],
  ["what rounds to 65536 becomes infinity", 65520, 0x7c00],
  ["minus infinity stays minus infinity", Number.NEGATIVE_INFINITY, 0xfc00],
  ["minus zero keeps its sign", -0, 0x8000],
  ["a value too small for a subnormal becomes zero", 2 ** -26, 0],
  ["NaN stays NaN", Number.NaN, 0x7e00],
])("%s", (_guarantee, value, bits) => {
  expect(half(value)).toBe(bits);
});
