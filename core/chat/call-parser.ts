/** What an answer's text is made of, in the order in which it came. */
export type AnswerPart =
  | { type: "text"; text: string }
  /** A call begins; `index` counts the answer's calls from 0. */
  | { type: "call"; index: number; name: string }
  /** More of the JSON text of that call's arguments. */
  | { type: "arguments"; index: number; text: string };

const opening = "<tool_call>";
const beforeName = '\n{"name": "';
const beforeArguments = ', "arguments": ';
const closing = "}\n</tool_call>";
/** Longer than any name that a request may bring, with its quotation mark. */
const longestName = 65;

/**
 * Finds the calls in an answer's text (docs/WIRE.md, Tool calls), however it comes in pieces. What may yet turn out to be
 * a call's beginning is held back, and comes out as text where it is none. White space around calls is no text.
 */
export class CallParser {
  /** Not yet decided. */
  #held = "";
  #state: "text" | "call" | "arguments" | "closing" = "text";
  #calls = 0;
  /** Spaces and line feeds at the end of the text so far: no part of it where a call or the end follows a call. */
  #space = "";
  #json = new JsonEnd();

  /** True once a call has begun. */
  get hasCalls(): boolean {
    return this.#calls > 0;
  }

  push(text: string): AnswerPart[] {
    this.#held += text;
    const parts: AnswerPart[] = [];
    for (let part = this.#step(parts); part; part = this.#step(parts));
    return parts;
  }

  /** What was held back, at the end of the answer. After a call the beginning of another that was cut off is dropped. */
  flush(): AnswerPart[] {
    const rest = this.#held;
    this.#held = "";
    if (this.#state === "closing" || (this.hasCalls && opening.startsWith(rest))) return [];
    if (this.#state === "call" && this.hasCalls) return [];
    const parts: AnswerPart[] = [];
    this.#say(rest, parts);
    if (!this.hasCalls && this.#space !== "") parts.push({ type: "text", text: this.#space });
    this.#space = "";
    return parts;
  }

  /** Decides on some of what is held; false where it takes more to decide. */
  #step(parts: AnswerPart[]): boolean {
    switch (this.#state) {
      case "text":
        return this.#readText(parts);
      case "call":
        return this.#readHead(parts);
      case "arguments":
        return this.#readArguments(parts);
      case "closing":
        return this.#readClosing();
    }
  }

  #readText(parts: AnswerPart[]): boolean {
    const at = this.#held.indexOf(opening);
    const end = at === -1 ? this.#held.length - beginningAtEnd(this.#held) : at;
    this.#say(this.#held.slice(0, end), parts);
    this.#held = this.#held.slice(end);
    if (at === -1) return false;
    this.#state = "call";
    return true;
  }

  #readHead(parts: AnswerPart[]): boolean {
    const head = this.#held.slice(opening.length);
    const isFitting = beforeName.startsWith(head.slice(0, beforeName.length));
    const rest = head.slice(beforeName.length);
    const quote = rest.indexOf('"');
    const tail = quote === -1 ? "" : rest.slice(quote + 1);
    if (!isFitting || (quote === -1 && rest.length > longestName) || !fits(tail, beforeArguments)) {
      // It only looked like a call.
      this.#say(opening, parts);
      this.#held = head;
      this.#state = "text";
      return true;
    }
    if (quote === -1 || tail.length < beforeArguments.length) return false;
    this.#held = tail.slice(beforeArguments.length);
    this.#space = "";
    parts.push({ type: "call", index: this.#calls, name: rest.slice(0, quote) });
    this.#calls += 1;
    this.#json = new JsonEnd();
    this.#state = "arguments";
    return true;
  }

  #readArguments(parts: AnswerPart[]): boolean {
    if (this.#held === "") return false;
    const end = this.#json.endIn(this.#held);
    const text = this.#held.slice(0, end);
    if (text !== "") parts.push({ type: "arguments", index: this.#calls - 1, text });
    this.#held = end === undefined ? "" : this.#held.slice(end);
    if (end !== undefined) this.#state = "closing";
    return end !== undefined;
  }

  #readClosing(): boolean {
    if (this.#held.length < closing.length && fits(this.#held, closing)) return false;
    if (this.#held.startsWith(closing)) this.#held = this.#held.slice(closing.length);
    this.#state = "text";
    return true;
  }

  /** Text but for the white space at its end, of which it depends on what follows whether it is text. */
  #say(text: string, parts: AnswerPart[]): void {
    const all = this.#space + text;
    const said = all.trimEnd();
    this.#space = all.slice(said.length);
    if (said !== "") parts.push({ type: "text", text: said });
  }
}

/** Whether one of the two begins with the other. */
function fits(text: string, expected: string): boolean {
  return expected.startsWith(text.slice(0, expected.length));
}

/** Length of the longest end of `text` that is a beginning of a call. */
function beginningAtEnd(text: string): number {
  for (let length = Math.min(opening.length - 1, text.length); length > 0; length -= 1) {
    if (text.endsWith(opening.slice(0, length))) return length;
  }
  return 0;
}

/** Finds where one JSON object or list ends that comes in pieces, or where a text that is none stops fitting. */
class JsonEnd {
  #depth = 0;
  #isInText = false;
  #isEscaped = false;

  /** Characters of `text` up to the end of the value; `undefined` where it goes on. */
  endIn(text: string): number | undefined {
    for (let at = 0; at < text.length; at += 1) {
      const character = text.charAt(at);
      if (this.#isInText) {
        if (this.#isEscaped) this.#isEscaped = false;
        else if (character === "\\") this.#isEscaped = true;
        else if (character === '"') this.#isInText = false;
      } else if (character === '"') this.#isInText = true;
      else if (character === "{" || character === "[") this.#depth += 1;
      else if (character === "}" || character === "]") {
        this.#depth -= 1;
        if (this.#depth <= 0) return at + (this.#depth === 0 ? 1 : 0);
      }
    }
    return undefined;
  }
}
