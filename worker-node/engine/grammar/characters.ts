import { outside, type Range } from "./ebnf.ts";

/** What a JSON string may not hold without an escape (RFC 8259 §7), and DEL. */
export const escapedCharacters: readonly Range[] = [
  [0x00, 0x1f],
  [0x22, 0x22],
  [0x5c, 0x5c],
  [0x7f, 0x7f],
];
/** Any character that a JSON string holds as it is. */
export const plainCharacter = outside(...escapedCharacters);

export const digitCharacters: readonly Range[] = [[0x30, 0x39]];
export const wordCharacters: readonly Range[] = [...digitCharacters, [0x41, 0x5a], [0x5f, 0x5f], [0x61, 0x7a]];
export const spaceCharacter: readonly Range[] = [[0x20, 0x20]];
