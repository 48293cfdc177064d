/** A part of a context-free grammar. Texts are of Unicode characters; `class` is what stands between the brackets. */
export type Part =
  | { type: "text"; text: string }
  | { type: "class"; class: string }
  | { type: "rule"; name: string }
  | { type: "sequence"; parts: readonly Part[] }
  | { type: "choice"; parts: readonly Part[] }
  | { type: "repeat"; part: Part; least: number; most: number | null };

export const text = (value: string): Part => ({ type: "text", text: value });
/**
 * One character of these ranges of ASCII, both ends within. xgrammar 0.1.27 reads a class that reaches beyond ASCII as
 * any byte at all, so there is none.
 */
export const within = (...ranges: Range[]): Part => ({ type: "class", class: ranges.map(printRange).join("") });
/** One character, of ASCII or beyond it, that is in none of these ranges of ASCII. */
export const outside = (...ranges: Range[]): Part => ({ type: "class", class: `^${ranges.map(printRange).join("")}` });
export const rule = (name: string): Part => ({ type: "rule", name });
export const sequence = (...parts: Part[]): Part => ({ type: "sequence", parts });
export const choice = (...parts: Part[]): Part => ({ type: "choice", parts });
/** `most` null is any number. */
export const repeat = (part: Part, least: number, most: number | null): Part => ({ type: "repeat", part, least, most });
export const optional = (part: Part): Part => repeat(part, 0, 1);

/** Code points from the first to the last. */
export type Range = readonly [first: number, last: number];

function printRange([first, last]: Range): string {
  if (last > 0x7f) throw new RangeError("a class of a grammar has ASCII only");
  return `${codePoint(first)}-${codePoint(last)}`;
}

const codePoint = (value: number): string => `\\U${value.toString(16).padStart(8, "0")}`;

/** Rules by name; the first of a grammar is `root`. */
export type Rules = ReadonlyMap<string, Part>;

/** The grammar in xgrammar's EBNF. */
export function printEbnf(rules: Rules): string {
  return [...rules].map(([name, part]) => `${name} ::= ${print(part)}\n`).join("");
}

function print(part: Part): string {
  switch (part.type) {
    case "text":
      return part.text === "" ? '""' : quote(part.text);
    case "class":
      return `[${part.class}]`;
    case "rule":
      return part.name;
    case "sequence":
      return part.parts.length === 0 ? '""' : `(${part.parts.map(print).join(" ")})`;
    case "choice":
      return `(${part.parts.map(print).join(" | ")})`;
    case "repeat": {
      const { least, most } = part;
      if (most === null && least <= 1) return `(${print(part.part)})${least === 0 ? "*" : "+"}`;
      return `(${print(part.part)}){${least},${most ?? ""}}`;
    }
  }
}

function quote(value: string): string {
  const escaped = value.replace(/["\\]|[^\x20-\x7e]/gu, (character) => {
    if (character === '"' || character === "\\") return `\\${character}`;
    return codePoint(character.codePointAt(0) ?? 0);
  });
  return `"${escaped}"`;
}

/**
 * Rules from which no finite text can be made: each calls itself before anything can end. Empty for a sound grammar.
 * Found as the least fixed point of "can end".
 */
export function endlessRules(rules: Rules): string[] {
  const ending = new Set<string>();
  const ends = (part: Part): boolean => {
    switch (part.type) {
      case "text":
      case "class":
        return true;
      case "rule":
        return ending.has(part.name);
      case "sequence":
        return part.parts.every(ends);
      case "choice":
        return part.parts.some(ends);
      case "repeat":
        return part.least === 0 || ends(part.part);
    }
  };
  for (let before = -1; before !== ending.size; ) {
    before = ending.size;
    for (const [name, part] of rules) if (ends(part)) ending.add(name);
  }
  return [...rules.keys()].filter((name) => !ending.has(name));
}
