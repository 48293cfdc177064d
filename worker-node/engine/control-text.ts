import type { TemplateConversation } from "./tool-turns.ts";

/** A stretch of a prompt: text in which control tokens are read as such, or literal text in which they are not. */
export interface PromptPart {
  text: string;
  literal: boolean;
}

/** A conversation in which no control token's text stands any more, and the way back. */
export interface HiddenControlText {
  conversation: TemplateConversation;
  /** Whether anything was hidden; if not, the prompt may be tokenised whole. */
  found: boolean;
  /** Splits a rendered prompt at the marks: what a message said comes back as literal parts. */
  restore(rendered: string): PromptPart[];
}

/**
 * Replaces every control token's text (`<|im_end|>` typed by a user), in contents, names, arguments and tools alike, by a
 * mark that stands nowhere else, so that the template may treat texts as it likes and the control text can be put back
 * as mere text.
 *
 * `controlTexts` are exact; where several begin at one place the longest is taken, as llama.cpp's tokeniser does.
 */
export function hideControlText(
  conversation: TemplateConversation,
  controlTexts: ReadonlySet<string>,
): HiddenControlText {
  const index = new ControlTextIndex(controlTexts);
  const hidden: string[] = [];
  const open = unusedMark(conversation);
  const shown = changeTexts(conversation, (text) => {
    const parts = index.split(text);
    if (!parts.some((part) => part.literal)) return text;
    return parts
      .map((part) => (part.literal ? `${open}${hidden.push(part.text) - 1}${markClose}` : part.text))
      .join("");
  });
  return {
    conversation: shown,
    found: hidden.length > 0,
    restore(rendered) {
      const [first = "", ...rest] = rendered.split(open);
      const parts: PromptPart[] = [{ text: first, literal: false }];
      for (const piece of rest) {
        const end = piece.indexOf(markClose);
        parts.push({ text: hidden[Number(piece.slice(0, end))] ?? "", literal: true });
        parts.push({ text: piece.slice(end + 1), literal: false });
      }
      return parts.filter((part) => part.text !== "");
    },
  };
}

/** Private-use characters: no template trims, escapes or splits at them. */
const markOpen = "\ue000";
const markClose = "\ue001";

/** The beginning of a mark, numbered so that no text contains it. */
function unusedMark(conversation: TemplateConversation): string {
  for (let nonce = 0; ; nonce++) {
    const mark = `${markOpen}${nonce}:`;
    let isUsed = false;
    changeTexts(conversation, (text) => {
      isUsed ||= text.includes(mark);
      return text;
    });
    if (!isUsed) return mark;
  }
}

/** Members whose own members a caller names. */
const given: readonly string[] = ["parameters", "arguments"];
/** Members whose values are ours. */
const ours: readonly string[] = ["role", "type"];

/** The same value with every text in it changed that a caller gave, names of members included. */
function changeTexts<Value>(value: Value, change: (text: string) => string, isGiven?: boolean): Value;
function changeTexts(value: unknown, change: (text: string) => string, isGiven = false): unknown {
  if (typeof value === "string") return change(value);
  if (Array.isArray(value)) return value.map((each) => changeTexts(each, change, isGiven));
  if (typeof value !== "object" || value === null) return value;
  const members = Object.entries(value).map(([name, each]) => {
    if (isGiven) return [change(name), changeTexts(each, change, true)];
    return [name, ours.includes(name) ? each : changeTexts(each, change, given.includes(name))];
  });
  return Object.fromEntries(members);
}

/** Finds texts of a set in one pass over a string: by first character, then by the lengths that occur, longest first. */
class ControlTextIndex {
  readonly #texts: ReadonlySet<string>;
  readonly #lengthsByFirst = new Map<string, number[]>();

  constructor(texts: ReadonlySet<string>) {
    this.#texts = texts;
    for (const text of texts) {
      const lengths = this.#lengthsByFirst.get(text.charAt(0)) ?? [];
      if (!lengths.includes(text.length)) lengths.push(text.length);
      this.#lengthsByFirst.set(text.charAt(0), lengths);
    }
    for (const lengths of this.#lengthsByFirst.values()) lengths.sort((a, b) => b - a);
  }

  split(content: string): PromptPart[] {
    const parts: PromptPart[] = [];
    let from = 0;
    for (let at = 0; at < content.length; at++) {
      const length = this.#lengthsByFirst
        .get(content.charAt(at))
        ?.find((candidate) => this.#texts.has(content.slice(at, at + candidate)));
      if (length === undefined) continue;
      parts.push({ text: content.slice(from, at), literal: false });
      parts.push({ text: content.slice(at, at + length), literal: true });
      from = at + length;
      at = from - 1;
    }
    parts.push({ text: content.slice(from), literal: false });
    return parts;
  }
}
