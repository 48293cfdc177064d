import { z } from "zod";
import { limits } from "../../core/limits.ts";
import { type ChatInput, type JsonSchema, type Tool, toolNameSchema } from "../../core/wire/task-input.ts";
import { invalidValue } from "./invalid.ts";

/** What of a task's input is about tools. */
export type ToolFields = Pick<ChatInput, "tools" | "toolChoice" | "isSingleCall">;

/** Any JSON; the name is what the reference calls it. */
const jsonValue = z.json().meta({ id: "Json" });
export const jsonObject = z.record(z.string(), jsonValue);

export const functionSchema = z.object({
  name: toolNameSchema,
  description: z.string().max(limits.promptCharacters).nullish(),
  parameters: jsonObject.nullish(),
  strict: z.boolean().nullish(),
});

export const toolsSchema = z
  .array(z.object({ type: z.literal("function", { error: "only functions are supported" }), function: functionSchema }))
  .max(limits.tools, `must hold at most ${limits.tools} tools`)
  .nullish();

const namedSchema = z.object({ type: z.literal("function"), function: z.object({ name: z.string() }) });

export const toolChoiceSchema = z
  .union(
    [
      z.enum(["none", "auto", "required"]),
      namedSchema,
      z.object({
        type: z.literal("allowed_tools"),
        allowed_tools: z.object({ mode: z.enum(["auto", "required"]), tools: z.array(namedSchema).min(1) }),
      }),
    ],
    { error: "must be none, auto, required, a function's name as an object, or allowed_tools" },
  )
  .nullish();

/** A choice of tools, whichever API it came by. */
export type ChoiceOfTools =
  | { mode: "auto" | "none" | "required"; only?: readonly string[] }
  | { mode: "named"; name: string };

export function choiceOf(choice: z.output<typeof toolChoiceSchema>): ChoiceOfTools {
  if (choice == null) return { mode: "auto" };
  if (typeof choice === "string") return { mode: choice };
  if (choice.type === "function") return { mode: "named", name: choice.function.name };
  const { mode, tools } = choice.allowed_tools;
  return { mode, only: tools.map((tool) => tool.function.name) };
}

/** A function with its defaults; one without parameters takes an empty object. Its arguments are always an object. */
export function toTool({ name, description, parameters, strict }: z.output<typeof functionSchema>): Tool {
  return {
    name,
    ...(description == null ? {} : { description }),
    parameters: objectSchemaOf(parameters ?? {}),
    isStrict: strict ?? false,
  };
}

function objectSchemaOf(parameters: JsonSchema): JsonSchema {
  return parameters.type === undefined && parameters.$ref === undefined
    ? { ...parameters, type: "object" }
    : parameters;
}

/**
 * Tools and choice of a task; nothing where there are no tools. Refuses (`invalid_value`) two tools of one name,
 * parameters that are no object's, and a choice of tools that are not there. `pathOf` names a tool in the request.
 */
export function toToolFields(
  tools: readonly Tool[],
  {
    choice,
    isParallel,
    pathOf,
  }: { choice: ChoiceOfTools; isParallel: boolean; pathOf: (place: number, field: string) => string },
): ToolFields {
  const names = tools.map((tool) => tool.name);
  for (const [place, { name, parameters }] of tools.entries()) {
    if (names.indexOf(name) !== place) throw invalidValue(pathOf(place, "name"), `two tools have the name ${name}`);
    if (parameters.type !== undefined && parameters.type !== "object") {
      throw invalidValue(pathOf(place, "parameters"), "arguments are an object, so its type must be object");
    }
  }
  const wanted = choice.mode === "named" ? [choice.name] : (choice.only ?? []);
  const missing = wanted.find((name) => !names.includes(name));
  if (missing !== undefined) throw invalidValue("tool_choice", `no tool has the name ${missing.slice(0, 64)}`);
  if (tools.length === 0) {
    if (choice.mode === "required") throw invalidValue("tool_choice", "'required' needs 'tools' to choose from");
    return {};
  }
  return {
    tools:
      "only" in choice && choice.only !== undefined ? tools.filter(({ name }) => wanted.includes(name)) : [...tools],
    toolChoice: choice.mode === "named" ? { name: choice.name } : choice.mode,
    ...(isParallel ? {} : { isSingleCall: true }),
  };
}
