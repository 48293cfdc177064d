import type { JsonSchema } from "../../core/wire/task-input.ts";

/** Deepest nesting, and most members of an object: so that an answer fits a few hundred tokens. */
const deepest = 3;
const mostMembers = 4;

/**
 * A JSON schema drawn from a seed: nested objects with required and optional members, lists, enumerations, integers and
 * numbers within bounds, texts of bounded length or of a pattern, choices, and a bounded recursion. Every text, list and
 * number is bounded.
 */
export function randomSchema(seed: number): JsonSchema {
  const draw = drawsOf(seed);
  const below = (count: number) => Math.floor(draw() * count);
  const pick = <Item>(items: readonly [Item, ...Item[]]): Item => items[below(items.length)] ?? items[0];

  const leaf = (): JsonSchema =>
    pick<() => JsonSchema>([
      () => ({ type: "string", minLength: 1, maxLength: 4 + below(12) }),
      () => ({ type: "string", enum: ["red", "green", "light blue"].slice(0, 1 + below(3)) }),
      () => ({
        type: "string",
        pattern: pick(["^[A-Z]{2}[0-9]{3}$", "^(north|south)-[a-f]{1,4}$", "^v[0-9]\\.[0-9]$"]),
      }),
      () => ({ type: "string", format: pick(["date", "uuid", "ipv4"]) }),
      () => ({ type: "integer", minimum: below(20) - 10, maximum: 10 + below(500) }),
      () => ({ type: "number", minimum: (below(40) - 20) / 4, maximum: 6 + below(100) / 8 }),
      () => ({ type: "boolean" }),
      () => ({ const: pick<string | number | null>(["fixed", 7, null]) }),
      () => ({ type: ["integer", "null"], minimum: 0, maximum: 9 }),
    ])();
  const value = (depth: number): JsonSchema => {
    const kind = depth >= deepest ? 9 : below(10);
    if (kind < 2) return object(depth + 1);
    if (kind === 2) return { type: "array", items: value(depth + 1), minItems: below(2), maxItems: 1 + below(3) };
    if (kind === 3) return { anyOf: [leaf(), object(depth + 1)] };
    if (kind === 4) return { $ref: "#/$defs/node" };
    return leaf();
  };
  const object = (depth: number): JsonSchema => {
    const names = ["name", "age", "tags", "home address", "größe", "x"].slice(0, 1 + below(mostMembers));
    const properties = Object.fromEntries(names.map((name) => [name, value(depth)]));
    const required = names.filter(() => draw() < 0.7);
    return { type: "object", properties, required, additionalProperties: false };
  };
  // One level calls the next, so the recursion has an end.
  const tree = (level: number): JsonSchema => ({
    type: "object",
    properties: {
      value: { type: "integer", minimum: 0, maximum: 99 },
      next: level === 0 ? { type: "null" } : tree(level - 1),
    },
    required: ["value", "next"],
    additionalProperties: false,
  });
  return { ...object(0), $defs: { node: tree(2) } };
}

/** Numbers from 0 up to 1: the linear congruential generator of Numerical Recipes. */
function drawsOf(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 0x1_0000_0000;
  };
}
