import { digitCharacters, escapedCharacters, plainCharacter, spaceCharacter, wordCharacters } from "./characters.ts";
import { choice, outside, type Part, type Range, repeat, sequence, text, within } from "./ebnf.ts";

/** A regular expression that cannot be made into a grammar; the message says which part of it. */
export class PatternError extends Error {
  override readonly name = "PatternError";
}

/** Longest pattern, and most repetitions of one part: what is beyond takes long to compile. */
const mostCharacters = 500;
const mostRepetitions = 1_000;

/**
 * The characters of a JSON string that a pattern allows (ECMA-262 regular expressions, the part that is regular):
 * literals, classes, groups, alternatives, quantifiers, and anchors at both ends. A side without its anchor may have
 * any text. Throws {@link PatternError} for anything else, as a look-around or a back-reference, and for characters
 * that a JSON string has to escape.
 */
export function patternGrammar(pattern: string): Part {
  if (pattern.length > mostCharacters) throw new PatternError(`a pattern has at most ${mostCharacters} characters`);
  return new PatternReader(pattern).read();
}

class PatternReader {
  readonly #characters: readonly string[];
  #at = 0;

  constructor(pattern: string) {
    this.#characters = [...pattern];
  }

  read(): Part {
    const startsAnchored = this.#take("^");
    const isAnchored = this.#characters.at(-1) === "$" && this.#characters.at(-2) !== "\\";
    const characters = isAnchored ? this.#characters.slice(0, -1) : this.#characters;
    const body = this.#alternatives(characters.length);
    if (this.#at < characters.length) throw new PatternError(`'${this.#characters[this.#at]}' has no beginning`);
    const hasAlternatives = body.type === "choice";
    if (hasAlternatives && (startsAnchored || isAnchored)) {
      throw new PatternError("put alternatives beside an anchor into a group");
    }
    const free = repeat(plainCharacter, 0, null);
    return sequence(...(startsAnchored ? [] : [free]), body, ...(isAnchored ? [] : [free]));
  }

  #alternatives(end: number): Part {
    const parts: Part[] = [];
    do parts.push(this.#sequence(end));
    while (this.#at < end && this.#take("|"));
    const [only] = parts;
    return parts.length === 1 && only !== undefined ? only : choice(...parts);
  }

  #sequence(end: number): Part {
    const parts: Part[] = [];
    while (this.#at < end && this.#characters[this.#at] !== "|" && this.#characters[this.#at] !== ")") {
      parts.push(this.#quantified(this.#atom(end)));
    }
    return sequence(...parts);
  }

  #atom(end: number): Part {
    const character = this.#next();
    switch (character) {
      case "(": {
        if (this.#take("?")) {
          if (!this.#take(":")) throw new PatternError("'(?' is understood as '(?:' only");
        }
        const group = this.#alternatives(end);
        if (!this.#take(")")) throw new PatternError("a group has no end");
        return group;
      }
      case "[":
        return this.#class();
      case ".":
        return plainCharacter;
      case "\\":
        return this.#escape();
      case "^":
      case "$":
        throw new PatternError(`'${character}' is understood at the ends only`);
      case "*":
      case "+":
      case "?":
      case "{":
        throw new PatternError(`'${character}' has nothing to repeat`);
      default:
        return text(ensurePlain(character));
    }
  }

  #quantified(part: Part): Part {
    const quantifier = this.#characters[this.#at];
    let bounds: [least: number, most: number | null];
    if (quantifier === "*") bounds = [0, null];
    else if (quantifier === "+") bounds = [1, null];
    else if (quantifier === "?") bounds = [0, 1];
    else if (quantifier === "{") {
      const rest = this.#characters.slice(this.#at).join("");
      const match = /^\{(\d+)(,(\d*))?\}/.exec(rest);
      if (match === null) throw new PatternError("'{' begins no repetition");
      const least = Number(match[1]);
      const most = match[2] === undefined ? least : match[3] === "" ? null : Number(match[3]);
      if (Math.max(least, most ?? 0) > mostRepetitions || (most !== null && most < least)) {
        throw new PatternError(`${match[0]} repeats more than ${mostRepetitions} times, or fewer times than none`);
      }
      this.#at += match[0].length - 1;
      bounds = [least, most];
    } else return part;
    this.#at += 1;
    // A lazy quantifier allows the same texts.
    this.#take("?");
    if (this.#characters[this.#at] === "+") throw new PatternError("a possessive quantifier is not understood");
    return repeat(part, ...bounds);
  }

  #escape(): Part {
    const character = this.#next();
    if (character === "d") return within(...digitCharacters);
    if (character === "w") return within(...wordCharacters);
    if (character === "s") return text(" ");
    if (character === "D") return outside(...escapedCharacters, ...digitCharacters);
    if (character === "W") return outside(...escapedCharacters, ...wordCharacters);
    if (character === "S") return outside(...escapedCharacters, ...spaceCharacter);
    if (/[A-Za-z0-9]/.test(character)) throw new PatternError(`'\\${character}' is not understood`);
    return text(ensurePlain(character));
  }

  #class(): Part {
    const isNegated = this.#take("^");
    const ranges: Range[] = [];
    while (!this.#take("]")) {
      const first = this.#classMember();
      const isSpan =
        typeof first === "number" && this.#characters[this.#at] === "-" && this.#characters[this.#at + 1] !== "]";
      if (typeof first !== "number") ranges.push(...first);
      else if (!isSpan) ranges.push([first, first]);
      else {
        this.#at += 1;
        const last = this.#classMember();
        if (typeof last !== "number" || last < first) throw new PatternError("a range in a class has no end");
        ranges.push([first, last]);
      }
    }
    if (ranges.length === 0) throw new PatternError("a class is empty");
    const ascii = ranges.filter(([, last]) => last < 0x7f);
    const others = ranges.filter(([, last]) => last >= 0x7f);
    const isRange = others.some(([first, last]) => first !== last);
    if (isRange || (isNegated && others.length > 0)) {
      throw new PatternError("a range or a negation beyond ASCII in a class is not understood");
    }
    if (isNegated) return outside(...escapedCharacters, ...ascii);
    const isEscaped = ([first, last]: Range) => escapedCharacters.some(([from, to]) => first <= to && last >= from);
    if (ascii.some(isEscaped)) throw new PatternError("a class spans characters that have to be escaped in JSON");
    const single = others.map(([character]) => text(String.fromCodePoint(character)));
    return choice(...(ascii.length > 0 ? [within(...ascii)] : []), ...single);
  }

  /** A code point, or the ranges of an escape. */
  #classMember(): number | readonly Range[] {
    const character = this.#next();
    if (character !== "\\") return ensurePlain(character).codePointAt(0) ?? 0;
    const escaped = this.#next();
    if (escaped === "d") return digitCharacters;
    if (escaped === "w") return wordCharacters;
    if (escaped === "s") return spaceCharacter;
    if (/[A-Za-z0-9]/.test(escaped)) throw new PatternError(`'\\${escaped}' is not understood in a class`);
    return ensurePlain(escaped).codePointAt(0) ?? 0;
  }

  #take(character: string): boolean {
    if (this.#characters[this.#at] !== character) return false;
    this.#at += 1;
    return true;
  }

  #next(): string {
    const character = this.#characters[this.#at];
    if (character === undefined) throw new PatternError("it ends too early");
    this.#at += 1;
    return character;
  }
}

function ensurePlain(character: string): string {
  if (character === '"' || character === "\\" || character < " ") {
    throw new PatternError(`${JSON.stringify(character)} has to be escaped in JSON, and is not understood`);
  }
  return character;
}
