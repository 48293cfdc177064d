import { choice, optional, type Part, repeat, sequence, text, within } from "./ebnf.ts";

/** Bounds of a JSON number; null is none. Both count as within. */
export interface Bounds {
  least: bigint | null;
  most: bigint | null;
}

/** Digits of a number whose schema bounds it on no side: what a double holds exactly (ECMA-262, 2^53). */
const freeDigits = 15;
/** Digits after the point where the bounds do not have more. */
const fractionDigits = 6;

const digit = within([0x30, 0x39]);
const digits = (least: number, most: number): Part => repeat(digit, least, most);

/** Integers within bounds, without a sign for zero and without leading zeros. `undefined` where there are none. */
export function integerGrammar({ least, most }: Bounds): Part | undefined {
  const widest = 10n ** BigInt(freeDigits) - 1n;
  const low = least ?? (most !== null && most < -widest ? most - widest : -widest);
  const high = most ?? (least !== null && least > widest ? least + widest : widest);
  if (low > high) return undefined;
  const parts: Part[] = [];
  if (low < 0n) parts.push(sequence(text("-"), ...naturals(high < 0n ? -high : 1n, -low)));
  if (high >= 0n) parts.push(...naturals(low > 0n ? low : 0n, high));
  return choice(...parts);
}

/** Natural numbers from `low` to `high` as one part: by length, then digit by digit. */
function naturals(low: bigint, high: bigint): Part[] {
  const parts: Part[] = [];
  for (let length = String(low).length; length <= String(high).length; length += 1) {
    const least = length === String(low).length ? String(low) : `1${"0".repeat(length - 1)}`;
    const most = length === String(high).length ? String(high) : "9".repeat(length);
    parts.push(sameLength(least, most));
  }
  return [choice(...parts)];
}

/** Texts of digits between two of one length, both within. */
export function sameLength(least: string, most: string): Part {
  if (least === most) return text(least);
  const [first, last] = [least.charAt(0), most.charAt(0)];
  const rest = least.length - 1;
  if (rest === 0) return range(Number(first), Number(last));
  if (first === last) return sequence(text(first), sameLength(least.slice(1), most.slice(1)));
  const parts: Part[] = [];
  let [from, to] = [Number(first), Number(last)];
  if (!/^0*$/.test(least.slice(1))) {
    parts.push(sequence(text(first), sameLength(least.slice(1), "9".repeat(rest))));
    from += 1;
  }
  if (!/^9*$/.test(most.slice(1))) {
    parts.push(sequence(text(last), sameLength("0".repeat(rest), most.slice(1))));
    to -= 1;
  }
  if (from <= to) parts.push(sequence(range(from, to), digits(rest, rest)));
  return choice(...parts);
}

function range(from: number, to: number): Part {
  return from === to ? text(String(from)) : within([0x30 + from, 0x30 + to]);
}

/** A decimal as an integer and how far its point is moved: −2.25 is −225 and 2. Exponents are not read. */
export interface Decimal {
  value: bigint;
  places: number;
}

/** The decimal that a JavaScript number prints as; `undefined` for one with an exponent or that is not finite. */
export function decimalOf(value: number): Decimal | undefined {
  const match = /^(-?)(\d+)(?:\.(\d+))?$/.exec(String(value));
  if (match === null) return undefined;
  const [, sign = "", whole = "", fraction = ""] = match;
  return { value: BigInt(sign + whole + fraction), places: fraction.length };
}

/**
 * Numbers within bounds, which are left out where `isOpen`: whole ones, and ones with digits after the point. Of the
 * whole parts at the edges only the fractions within bounds. `undefined` where there is none.
 */
export function numberGrammar(bounds: {
  least: Decimal | null;
  most: Decimal | null;
  isLeastOpen: boolean;
  isMostOpen: boolean;
}): Part | undefined {
  const { least, most } = bounds;
  if (least === null && most === null) {
    const exponent = sequence(choice(text("e"), text("E")), optional(choice(text("+"), text("-"))), digits(1, 2));
    const whole = choice(text("0"), sequence(within([0x31, 0x39]), digits(0, freeDigits - 1)));
    return sequence(
      optional(text("-")),
      whole,
      optional(sequence(text("."), digits(1, freeDigits))),
      optional(exponent),
    );
  }
  const places = Math.max(fractionDigits, least?.places ?? 0, most?.places ?? 0);
  const unit = 10n ** BigInt(places);
  const scaled = ({ value, places: own }: Decimal) => value * 10n ** BigInt(places - own);
  const free = 10n ** BigInt(freeDigits) * unit;
  const low = least === null ? -free : scaled(least) + (bounds.isLeastOpen ? 1n : 0n);
  const high = most === null ? free : scaled(most) - (bounds.isMostOpen ? 1n : 0n);
  if (low > high) return undefined;
  const parts: Part[] = [];
  if (low < 0n) parts.push(sequence(text("-"), decimals(high < 0n ? -high : 1n, -low, { unit, places })));
  if (high >= 0n) parts.push(decimals(low > 0n ? low : 0n, high, { unit, places }));
  return choice(...parts);
}

/** Decimals from `low` to `high` units, both at least 0. */
function decimals(low: bigint, high: bigint, { unit, places }: { unit: bigint; places: number }): Part {
  const [first, last] = [low / unit, high / unit];
  const fraction = (from: bigint, to: bigint): Part =>
    sequence(text("."), sameLength(pad(from, places), pad(to, places)));
  const edge = (whole: bigint, from: bigint, to: bigint): Part => {
    const fractions = [fraction(from, to)];
    return from === 0n
      ? sequence(text(String(whole)), optional(choice(...fractions)))
      : sequence(text(String(whole)), ...fractions);
  };
  if (first === last) return edge(first, low % unit, high % unit);
  const parts = [edge(first, low % unit, unit - 1n), edge(last, 0n, high % unit)];
  if (first + 1n <= last - 1n) {
    parts.push(sequence(...naturals(first + 1n, last - 1n), optional(sequence(text("."), digits(1, places)))));
  }
  return choice(...parts);
}

const pad = (value: bigint, places: number): string => String(value).padStart(places, "0");
