import { Refusal } from "../../core/refusal.ts";

/** A value that the request may not have, with what it may be: `must be at most 2`. */
export function invalidValue(param: string, problem: string): Refusal {
  return new Refusal({ code: "invalid_value", param, message: `Invalid value for '${param}': ${problem}.` });
}
