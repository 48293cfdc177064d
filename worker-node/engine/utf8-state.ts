/**
 * Where a text stands within a character of UTF-8 (RFC 3629 §4): how many bytes are still to come, and what the next of
 * them may be. Between characters none is to come.
 */
export interface Utf8State {
  readonly left: number;
  readonly least: number;
  readonly most: number;
}

export const betweenCharacters: Utf8State = { left: 0, least: 0x80, most: 0xbf };

/** The state after more bytes; `undefined` where they are no UTF-8. */
export function afterBytes(before: Utf8State, bytes: Iterable<number>): Utf8State | undefined {
  let state = before;
  for (const byte of bytes) {
    if (state.left > 0) {
      if (byte < state.least || byte > state.most) return undefined;
      state = { left: state.left - 1, least: 0x80, most: 0xbf };
    } else if (byte >= 0x80) {
      const begun = firstOf(byte);
      if (begun === undefined) return undefined;
      state = begun;
    }
  }
  return state;
}

/** What follows the first byte of a character; its second byte has bounds of its own after some. */
function firstOf(byte: number): Utf8State | undefined {
  if (byte < 0xc2 || byte > 0xf4) return undefined;
  if (byte < 0xe0) return { left: 1, least: 0x80, most: 0xbf };
  if (byte < 0xf0) return { left: 2, least: byte === 0xe0 ? 0xa0 : 0x80, most: byte === 0xed ? 0x9f : 0xbf };
  return { left: 3, least: byte === 0xf0 ? 0x90 : 0x80, most: byte === 0xf4 ? 0x8f : 0xbf };
}
