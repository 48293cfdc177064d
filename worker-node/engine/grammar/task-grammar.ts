import type { ChatInput, CompletionInput, JsonSchema, Tool } from "../../../core/wire/task-input.ts";
import { UnsupportedTaskError } from "../unsupported-task-error.ts";
import type { GrammarSource } from "./grammar-source.ts";
import { SchemaError, schemaGrammar } from "./schema-grammar.ts";

const anyObject: JsonSchema = { type: "object" };

/**
 * What a task's answer must be, and the field of the request that asks for it; `undefined` where any text will do.
 * Throws `UnsupportedTaskError` where what it asks for cannot be enforced.
 */
export function taskGrammar(input: ChatInput | CompletionInput): { source: GrammarSource; param: string } | undefined {
  if (input.kind !== "chat") return undefined;
  const { tools, toolChoice = "auto", isSingleCall = false, format } = input;
  if (tools !== undefined && toolChoice !== "none") {
    const named = typeof toolChoice === "object" ? toolChoice.name : undefined;
    const chosen = named === undefined ? tools : tools.filter((tool) => tool.name === named);
    if (chosen.length === 0) {
      throw new UnsupportedTaskError(`there is no tool ${named}`, { param: "tool_choice" });
    }
    const isForced = toolChoice !== "auto";
    const calls = chosen.map((tool) => ({ name: tool.name, ebnf: argumentsGrammar(tool) }));
    const isSingle = isSingleCall || named !== undefined;
    return { source: { type: "calls", calls, isForced, isSingle }, param: "tools" };
  }
  if (format === undefined) return undefined;
  const schema = format.type === "json_schema" ? format.schema : anyObject;
  return { source: { type: "text", ebnf: enforced(schema, "response_format") }, param: "response_format" };
}

/** A schema that asks for more than can be enforced is a hint, unless the tool is strict. */
function argumentsGrammar({ parameters, isStrict }: Tool): string {
  if (isStrict) return enforced(parameters, "tools");
  try {
    return schemaGrammar(parameters);
  } catch (error) {
    if (!(error instanceof SchemaError)) throw error;
    return schemaGrammar(anyObject);
  }
}

function enforced(schema: JsonSchema, param: string): string {
  try {
    return schemaGrammar(schema);
  } catch (error) {
    if (!(error instanceof SchemaError)) throw error;
    throw new UnsupportedTaskError(error.message, { param, cause: error });
  }
}
