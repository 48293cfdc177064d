import type { JsonSchema } from "../../../core/wire/task-input.ts";
import { plainCharacter } from "./characters.ts";
import { choice, endlessRules, type Part, printEbnf, repeat, rule, sequence, text } from "./ebnf.ts";
import { decimalOf, integerGrammar, numberGrammar } from "./number-grammar.ts";
import { PatternError, patternGrammar } from "./pattern-grammar.ts";

/** A schema that cannot be enforced; the message names the place and what to do. */
export class SchemaError extends Error {
  override readonly name = "SchemaError";
}

/** Bounds of what is compiled: past them a grammar would take long and say little. */
const most = { depth: 64, rules: 2_000, enumValues: 1_000, stringCharacters: 20_000, items: 2_000 } as const;

/** Words about a value that ask nothing of it (JSON Schema 2020-12, annotations), and those read with others. */
const silentWords = new Set([
  ...[
    "title",
    "description",
    "default",
    "examples",
    "deprecated",
    "readOnly",
    "writeOnly",
    "$schema",
    "$id",
    "$comment",
  ],
  ...["$defs", "definitions", "$anchor", "contentEncoding", "contentMediaType", "strict", "nullable", "discriminator"],
]);
const wordsOf = {
  object: ["properties", "required", "additionalProperties"],
  array: ["items", "minItems", "maxItems"],
  string: ["minLength", "maxLength", "pattern", "format"],
  number: ["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"],
  integer: ["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"],
  boolean: [],
  null: [],
} as const;
type TypeName = keyof typeof wordsOf;
const typeNames = ["object", "array", "string", "number", "integer", "boolean", "null"] as const;

/** Formats as patterns (RFC 3339, RFC 4122, RFC 2673 §3.2; e-mail and host names of the usual kind). */
const time = "([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\\.[0-9]{1,6})?(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])";
const date = "[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|1[0-9]|2[0-8])";
const byte = "(25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])";
const formats: Readonly<Record<string, string>> = {
  "date-time": `^${date}T${time}$`,
  date: `^${date}$`,
  time: `^${time}$`,
  uuid: "^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$",
  email: "^[a-z0-9]+([._-][a-z0-9]+){0,4}@[a-z0-9]+([-][a-z0-9]+){0,3}(\\.[a-z]{2,10}){1,3}$",
  hostname: "^[a-z0-9]{1,20}([-][a-z0-9]{1,20}){0,3}(\\.[a-z][a-z0-9]{1,20}){0,4}$",
  ipv4: `^${byte}\\.${byte}\\.${byte}\\.${byte}$`,
};

/** A character of a JSON string: plain, or escaped. */
const character: Part = choice(
  plainCharacter,
  sequence(text("\\"), choice(...['"', "\\", "/", "b", "f", "n", "r", "t"].map(text))),
);

/**
 * The grammar, in xgrammar's EBNF, of the JSON texts that fit a schema, without free white space: `", "` between items
 * and `": "` after a name. Every text of the grammar fits the schema; some that fit are left out (members in another
 * order, numbers with an exponent where there are bounds, members that no schema names beside those that one does).
 *
 * Throws {@link SchemaError} where the schema asks for what cannot be enforced, is deeper or larger than it may be,
 * refers to anything outside itself, or fits no finite text.
 */
export function schemaGrammar(schema: JsonSchema): string {
  return new SchemaReader(schema).read();
}

class SchemaReader {
  readonly #root: JsonSchema;
  readonly #rules = new Map<string, Part>();
  readonly #refs = new Map<string, string>();

  constructor(root: JsonSchema) {
    this.#root = root;
  }

  read(): string {
    // The first rule of a grammar is its root, and the others are found while it is made.
    this.#rules.set("root", text(""));
    this.#rules.set("root", this.#value(this.#root, "schema", 0));
    const [endless] = endlessRules(this.#rules);
    if (endless !== undefined)
      throw new SchemaError("The schema calls itself without an end: no finite value fits it.");
    return printEbnf(this.#rules);
  }

  #value(schema: unknown, at: string, depth: number): Part {
    if (depth > most.depth) throw new SchemaError(`${at} is more than ${most.depth} levels deep.`);
    if (schema === true) return this.#anything();
    if (!isObject(schema)) throw new SchemaError(`${at} must be a schema: a JSON object, or true.`);
    const words = Object.keys(schema).filter((word) => !silentWords.has(word));
    if (schema.$ref !== undefined) return this.#ref(schema.$ref, at, words, depth);
    if (schema.const !== undefined || "const" in schema) return text(JSON.stringify(schema.const));
    if (schema.enum !== undefined) return this.#enum(schema.enum, at);
    for (const word of ["anyOf", "oneOf", "allOf"] as const) {
      if (schema[word] !== undefined) return this.#branches(word, schema[word], at, words, depth);
    }
    const types = this.#types(schema, at);
    const known = new Set<string>(["type", ...types.flatMap((type) => [...wordsOf[type]])]);
    const unknown = words.find((word) => !known.has(word));
    if (unknown !== undefined) throw new SchemaError(`${at}: '${unknown}' cannot be enforced here. Leave it out.`);
    if (types.length === 0) return this.#anything();
    return choice(...types.map((type) => this.#typed(type, schema, at, depth)));
  }

  #types(schema: Record<string, unknown>, at: string): TypeName[] {
    const { type } = schema;
    if (type === undefined) {
      // A schema that speaks of one kind of value only is meant for that kind.
      return typeNames.filter((name) => name !== "integer" && wordsOf[name].some((word) => word in schema));
    }
    const names = Array.isArray(type) ? type : [type];
    return names.map((name) => {
      const known = typeNames.find((each) => each === name);
      if (known === undefined) throw new SchemaError(`${at}.type: there is no type ${JSON.stringify(name)}.`);
      return known;
    });
  }

  #typed(type: TypeName, schema: Record<string, unknown>, at: string, depth: number): Part {
    switch (type) {
      case "object":
        return this.#object(schema, at, depth);
      case "array":
        return this.#array(schema, at, depth);
      case "string":
        return this.#string(schema, at);
      case "number":
      case "integer":
        return this.#number(type, schema, at);
      case "boolean":
        return choice(text("true"), text("false"));
      case "null":
        return text("null");
    }
  }

  #object(schema: Record<string, unknown>, at: string, depth: number): Part {
    const { properties = {}, required = [], additionalProperties } = schema;
    if (!isObject(properties)) throw new SchemaError(`${at}.properties must be an object.`);
    if (!Array.isArray(required)) throw new SchemaError(`${at}.required must be a list of names.`);
    const names = Object.keys(properties);
    const missing = required.find((name) => !names.includes(String(name)));
    if (missing !== undefined)
      throw new SchemaError(`${at}.required names ${JSON.stringify(missing)}, which is no property.`);
    if (names.length === 0) return this.#map(additionalProperties ?? true, at, depth);
    const members = names.map((name) => ({
      isRequired: required.includes(name),
      part: sequence(
        text(`${JSON.stringify(name)}: `),
        this.#value(properties[name], `${at}.properties.${name}`, depth + 1),
      ),
    }));
    // From each member on: what may follow where one came before, and where none did.
    let afterOne: Part = text("");
    let first: Part = text("");
    for (const { isRequired, part } of members.toReversed()) {
      const own = this.#named("members", sequence(part, afterOne));
      first = isRequired ? own : choice(own, first);
      const more = sequence(text(", "), own);
      afterOne = this.#named("more", isRequired ? more : choice(more, afterOne));
      first = this.#named("first", first);
    }
    return sequence(text("{"), first, text("}"));
  }

  /** An object of any names, whose values fit one schema. */
  #map(values: unknown, at: string, depth: number): Part {
    if (values === false) return text("{}");
    const member = this.#named(
      "member",
      sequence(stringOf(1, 64), text(": "), this.#value(values, `${at}.additionalProperties`, depth + 1)),
    );
    return choice(text("{}"), sequence(text("{"), member, repeat(sequence(text(", "), member), 0, null), text("}")));
  }

  #array(schema: Record<string, unknown>, at: string, depth: number): Part {
    const least = this.#count(schema.minItems, `${at}.minItems`, most.items) ?? 0;
    const longest = this.#count(schema.maxItems, `${at}.maxItems`, most.items);
    if (longest !== null && longest < least) throw new SchemaError(`${at}: no list has ${least} to ${longest} items.`);
    if (longest === 0) return text("[]");
    const item = this.#named("item", this.#value(schema.items ?? true, `${at}.items`, depth + 1));
    const others = repeat(sequence(text(", "), item), Math.max(0, least - 1), longest === null ? null : longest - 1);
    const filled = sequence(text("["), item, others, text("]"));
    return least === 0 ? choice(text("[]"), filled) : filled;
  }

  #string(schema: Record<string, unknown>, at: string): Part {
    const { pattern, format, minLength, maxLength } = schema;
    if (pattern !== undefined || format !== undefined) {
      if (minLength !== undefined || maxLength !== undefined || (pattern !== undefined && format !== undefined)) {
        throw new SchemaError(`${at}: of pattern, format and a length only one can be enforced. Leave the others out.`);
      }
      const source = pattern ?? formats[String(format)];
      if (typeof source !== "string") {
        throw new SchemaError(
          `${at}.format: there is ${Object.keys(formats).join(", ")}, and no ${JSON.stringify(format)}.`,
        );
      }
      try {
        return sequence(text('"'), patternGrammar(source), text('"'));
      } catch (error) {
        if (!(error instanceof PatternError)) throw error;
        throw new SchemaError(`${at}.pattern cannot be enforced: ${error.message}.`);
      }
    }
    const least = this.#count(minLength, `${at}.minLength`, most.stringCharacters) ?? 0;
    const longest = this.#count(maxLength, `${at}.maxLength`, most.stringCharacters);
    if (longest !== null && longest < least) {
      throw new SchemaError(`${at}: no text has ${least} to ${longest} characters.`);
    }
    return stringOf(least, longest);
  }

  #number(type: "number" | "integer", schema: Record<string, unknown>, at: string): Part {
    const bound = (inclusive: "minimum" | "maximum", exclusive: "exclusiveMinimum" | "exclusiveMaximum") => {
      const both = schema[inclusive] !== undefined && schema[exclusive] !== undefined;
      if (both) throw new SchemaError(`${at}: ${inclusive} and ${exclusive} stand together. Leave one out.`);
      const value = schema[inclusive] ?? schema[exclusive];
      if (value === undefined) return { decimal: null, isOpen: false };
      const decimal = typeof value === "number" ? decimalOf(value) : undefined;
      if (decimal === undefined)
        throw new SchemaError(`${at}: ${JSON.stringify(value)} is no bound that can be enforced.`);
      return { decimal, isOpen: schema[exclusive] !== undefined };
    };
    const low = bound("minimum", "exclusiveMinimum");
    const high = bound("maximum", "exclusiveMaximum");
    const part =
      type === "integer"
        ? integerGrammar({ least: wholeAbove(low), most: wholeBelow(high) })
        : numberGrammar({
            ...{ least: low.decimal, isLeastOpen: low.isOpen },
            ...{ most: high.decimal, isMostOpen: high.isOpen },
          });
    if (part === undefined) throw new SchemaError(`${at}: no ${type} lies within its bounds.`);
    return part;
  }

  #enum(values: unknown, at: string): Part {
    if (!Array.isArray(values) || values.length === 0 || values.length > most.enumValues) {
      throw new SchemaError(`${at}.enum must be a list of 1 to ${most.enumValues} values.`);
    }
    return choice(...values.map((value) => text(JSON.stringify(value))));
  }

  #branches(word: string, branches: unknown, at: string, words: readonly string[], depth: number): Part {
    if (!Array.isArray(branches) || branches.length === 0)
      throw new SchemaError(`${at}.${word} must be a list of schemas.`);
    const beside = words.find((other) => other !== word);
    if (beside !== undefined)
      throw new SchemaError(`${at}: '${beside}' beside '${word}' cannot be enforced. Put it inside.`);
    if (word === "allOf" && branches.length > 1) {
      throw new SchemaError(`${at}.allOf cannot be enforced. Join its schemas into one.`);
    }
    if (word === "oneOf" && !areApart(branches)) {
      throw new SchemaError(`${at}.oneOf cannot be enforced unless each branch has a type of its own. Use anyOf.`);
    }
    return choice(...branches.map((branch, index) => this.#value(branch, `${at}.${word}[${index}]`, depth + 1)));
  }

  #ref(pointer: unknown, at: string, words: readonly string[], depth: number): Part {
    const beside = words.find((word) => word !== "$ref");
    if (beside !== undefined)
      throw new SchemaError(`${at}: '${beside}' beside '$ref' cannot be enforced. Put it inside.`);
    if (typeof pointer !== "string" || !/^#(\/|$)/.test(pointer)) {
      throw new SchemaError(`${at}.$ref must point into this schema, as #/$defs/name; nothing else is read.`);
    }
    const known = this.#refs.get(pointer);
    if (known !== undefined) return rule(known);
    const name = `ref${this.#refs.size}`;
    this.#refs.set(pointer, name);
    this.#set(name, text(""));
    this.#set(name, this.#value(this.#resolve(pointer, at), pointer, depth + 1));
    return rule(name);
  }

  #resolve(pointer: string, at: string): unknown {
    let found: unknown = this.#root;
    for (const step of pointer.split("/").slice(1)) {
      const key = decodeURIComponent(step).replaceAll("~1", "/").replaceAll("~0", "~");
      found = isObject(found) && Object.hasOwn(found, key) ? found[key] : undefined;
    }
    if (found === undefined) throw new SchemaError(`${at}.$ref points to ${pointer}, where there is nothing.`);
    return found;
  }

  /** Any JSON value. */
  #anything(): Part {
    if (!this.#rules.has("any")) {
      this.#set("any", text(""));
      const others = [
        stringOf(0, null),
        numberGrammar(noBounds) ?? text("0"),
        text("true"),
        text("false"),
        text("null"),
      ];
      const list = (open: string, item: Part, close: string) =>
        choice(
          text(open + close),
          sequence(text(open), item, repeat(sequence(text(", "), item), 0, null), text(close)),
        );
      const member = sequence(stringOf(0, null), text(": "), rule("any"));
      this.#set("any", choice(list("{", member, "}"), list("[", rule("any"), "]"), ...others));
    }
    return rule("any");
  }

  #named(kind: string, part: Part): Part {
    // Without an underscore, which llama.cpp's grammars do not have in a name.
    const name = `${kind}${this.#rules.size}`;
    this.#set(name, part);
    return rule(name);
  }

  #set(name: string, part: Part): void {
    this.#rules.set(name, part);
    if (this.#rules.size > most.rules)
      throw new SchemaError(`The schema is too large: it needs more than ${most.rules} rules.`);
  }

  #count(value: unknown, at: string, bound: number): number | null {
    if (value === undefined) return null;
    if (typeof value === "number" && Number.isInteger(value) && value >= 0 && value <= bound) return value;
    throw new SchemaError(`${at} must be a whole number of at most ${bound}.`);
  }
}

const noBounds = { least: null, most: null, isLeastOpen: false, isMostOpen: false };

const stringOf = (least: number, longest: number | null): Part =>
  sequence(text('"'), repeat(character, least, longest), text('"'));

type Bound = { decimal: { value: bigint; places: number } | null; isOpen: boolean };

function wholeAbove({ decimal, isOpen }: Bound): bigint | null {
  if (decimal === null) return null;
  const unit = 10n ** BigInt(decimal.places);
  const floor = floorOf(decimal.value, unit);
  return floor * unit === decimal.value && !isOpen ? floor : floor + 1n;
}

function wholeBelow({ decimal, isOpen }: Bound): bigint | null {
  if (decimal === null) return null;
  const unit = 10n ** BigInt(decimal.places);
  const floor = floorOf(decimal.value, unit);
  return floor * unit === decimal.value && isOpen ? floor - 1n : floor;
}

/** Rounded towards minus infinity, as BigInt's division is not. */
function floorOf(value: bigint, unit: bigint): bigint {
  const quotient = value / unit;
  return value < 0n && quotient * unit !== value ? quotient - 1n : quotient;
}

/** True where no value fits two branches: each is of another type, or a constant of its own. */
function areApart(branches: readonly unknown[]): boolean {
  const marks = branches.map((branch) => {
    if (!isObject(branch)) return undefined;
    if ("const" in branch) return `const ${JSON.stringify(branch.const)}`;
    return typeof branch.type === "string" ? branch.type.replace("integer", "number") : undefined;
  });
  const isConst = marks.every((mark) => mark?.startsWith("const "));
  const isTyped = marks.every((mark) => mark !== undefined && !mark.startsWith("const "));
  return (isConst || isTyped) && new Set(marks).size === marks.length;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
