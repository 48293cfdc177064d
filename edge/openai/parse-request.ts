import type { z } from "zod";
import { limits } from "../../core/limits.ts";
import { Refusal } from "../../core/refusal.ts";

/**
 * A body as the schema has it, or a refusal that names the field: `missing_required_parameter`, `invalid_value`, or
 * `invalid_request` where the body is no object at all, or is nested deeper than {@link limits.jsonDepth}.
 */
export function parseRequest<Schema extends z.ZodType>(schema: Schema, body: unknown): z.output<Schema> {
  if (typeof body !== "object" || body === null || Array.isArray(body)) {
    throw new Refusal({ code: "invalid_request", message: "The body must be one JSON object." });
  }
  refuseTooDeep(body);
  const parsed = schema.safeParse(body);
  if (parsed.success) return parsed.data;
  const issue = deepest(parsed.error.issues);
  const param = paramOf(issue.path);
  // Also a union or a list of values that was not given is missing, though the schema calls it by another code.
  if (valueAt(body, issue.path) === undefined) {
    const hint = issue.code === "invalid_type" ? `It must be ${issue.expected}.` : `About it: ${issue.message}.`;
    throw new Refusal({
      code: "missing_required_parameter",
      param,
      message: `Missing required parameter: '${param}'. ${hint}`,
    });
  }
  throw new Refusal({ code: "invalid_value", param, message: `Invalid value for '${param}': ${issue.message}.` });
}

/** Schemas are walked by calls within calls, which a body nested without end would exhaust. */
function refuseTooDeep(body: object): void {
  let level: object[] = [body];
  for (let depth = 1; level.length > 0; depth += 1) {
    if (depth > limits.jsonDepth) {
      throw new Refusal({
        code: "invalid_request",
        message: `The body is nested more than ${limits.jsonDepth} levels deep. Send it flatter.`,
      });
    }
    level = level.flatMap((each) => Object.values(each).filter((value) => typeof value === "object" && value !== null));
  }
}

function valueAt(body: unknown, path: readonly PropertyKey[]): unknown {
  let value = body;
  for (const step of path) {
    if (typeof value !== "object" || value === null) return undefined;
    value = Reflect.get(value, step);
  }
  return value;
}

type Issue = z.core.$ZodIssue;

/** The issue to tell: inside a union, the one of the branch that came furthest. */
function deepest(issues: readonly Issue[]): Issue {
  const first = issues[0];
  if (first === undefined) throw new Error("a failed parse has no issue");
  if (first.code !== "invalid_union") return first;
  const branches = first.errors.flatMap((branch) => (branch.length === 0 ? [] : [deepest(branch)]));
  const inner = branches.sort((one, other) => other.path.length - one.path.length)[0];
  if (inner === undefined || inner.path.length === 0) return first;
  return { ...inner, path: [...first.path, ...inner.path] };
}

/** A path as OpenAI writes it: `messages[0].content`. */
export function paramOf(path: readonly PropertyKey[]): string {
  return path.reduce<string>((text, step) => {
    if (typeof step === "number") return `${text}[${step}]`;
    return text === "" ? String(step) : `${text}.${String(step)}`;
  }, "");
}
