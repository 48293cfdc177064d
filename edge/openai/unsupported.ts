import { Refusal } from "../../core/refusal.ts";

/** True for a value that asks for nothing: absent, null, false, empty. */
function isNeutral(value: unknown): boolean {
  if (value === undefined || value === null || value === false) return true;
  if (Array.isArray(value)) return value.length === 0;
  return typeof value === "object" && Object.keys(value).length === 0;
}

/**
 * Refuses, by name, the first parameter of `names` that asks for something: what cannot be honoured is never dropped
 * in silence. `neutral` lists further values that ask for nothing, such as `n: 1`.
 */
export function refuseUnsupported(
  body: object,
  names: readonly string[],
  neutral: Readonly<Record<string, (value: unknown) => boolean>> = {},
): void {
  for (const [name, value] of Object.entries(body)) {
    if (!names.includes(name) || isNeutral(value) || neutral[name]?.(value)) continue;
    throw new Refusal({
      code: "unsupported_parameter",
      param: name,
      message: `'${name}' is not supported here yet, and nothing was run. Leave it out.`,
    });
  }
}
