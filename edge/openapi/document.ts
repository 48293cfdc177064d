import { z } from "zod";
import { refusalCodes } from "../../core/refusal.ts";
import { statusOfCode } from "../errors.ts";
import { type Operation, operations } from "./operations.ts";

const errorSchema = z.object({
  error: z.object({
    message: z.string(),
    type: z.string(),
    param: z.string().nullable(),
    code: z.enum(refusalCodes),
  }),
});
const anthropicErrorSchema = z.object({
  type: z.literal("error"),
  error: z.object({ type: z.string(), message: z.string() }),
  request_id: z.string(),
});

/** Schemas that others refer to, by name; filled as the document is written, the same each time. */
const shared: Record<string, unknown> = {};

/** The router's reference as an OpenAPI 3.1 document, from the very schemas that requests are parsed with. */
export function openApiDocument(origin: string): object {
  const paths: Record<string, Record<string, object>> = {};
  for (const operation of operations) {
    paths[operation.path] = { ...paths[operation.path], [operation.method]: operationOf(operation) };
  }
  return {
    openapi: "3.1.0",
    info: {
      title: "cortensor-edge",
      version: "1",
      description: "Many independent nodes behind one API that OpenAI's and Anthropic's clients speak.",
    },
    servers: [{ url: origin }],
    security: [{ key: [] }],
    paths,
    components: {
      securitySchemes: { key: { type: "http", scheme: "bearer", description: "A key: sk-…" } },
      schemas: { Error: schemaOf(errorSchema), AnthropicError: schemaOf(anthropicErrorSchema), ...shared },
    },
  };
}

function operationOf({ method, path, tag, summary, body, query, answers, errors }: Operation): object {
  const error = { $ref: `#/components/schemas/${errors === "anthropic" ? "AnthropicError" : "Error"}` };
  const refused = {
    description: "Refused; the message says what to do",
    content: { "application/json": { schema: error } },
  };
  const types =
    answers === "application/octet-stream"
      ? [answers]
      : ["application/json", ...(answers === undefined ? [] : [answers])];
  const parameters = [
    ...[...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => ({
      ...{ name, in: "path", required: true, schema: { type: "string", minLength: 1 } },
    })),
    ...(query === undefined ? [] : queryParameters(query)),
  ];
  return {
    operationId: `${method}_${path.replace(/^\/v1\//, "").replaceAll(/[^a-z]+/g, "_")}`.replace(/_$/, ""),
    ...{ tags: [tag], summary },
    ...(parameters.length === 0 ? {} : { parameters }),
    ...(body === undefined ? {} : { requestBody: { required: true, content: { [body.type]: bodyOf(body) } } }),
    responses: {
      200: { description: "Done", content: Object.fromEntries(types.map((type) => [type, {}])) },
      ...Object.fromEntries(statuses.map((status) => [status, refused])),
    },
  };
}

/** Every status that a refusal may have. */
const statuses = [...new Set(refusalCodes.map(statusOfCode))].sort((one, other) => one - other);

function bodyOf({ type, schema, example }: NonNullable<Operation["body"]>): object {
  const described = schemaOf(schema);
  if (type === "application/json") return { schema: described, ...(example === undefined ? {} : { example }) };
  const { properties, required } = z
    .looseObject({ properties: z.looseObject({}), required: z.array(z.string()).default([]) })
    .parse(described);
  const file = { type: "string", format: "binary" };
  return { schema: { ...described, properties: { ...properties, file }, required: [...required, "file"] } };
}

function queryParameters(schema: z.ZodType): object[] {
  const { properties } = z.looseObject({ properties: z.record(z.string(), z.looseObject({})) }).parse(schemaOf(schema));
  return Object.entries(properties).map(([name, described]) => ({
    name,
    in: "query",
    required: false,
    schema: described,
  }));
}

/** A schema as the document has it: what it refers to stands among the document's own, where references lead. */
function schemaOf(schema: z.ZodType): object {
  const {
    $schema: _,
    $defs,
    ...described
  } = withDocumentReferences(z.toJSONSchema(schema, { io: "input", unrepresentable: "any", reused: "inline" }));
  Object.assign(shared, $defs);
  return described;
}

const definitions = "#/$defs/";

/** References into a schema's own definitions as references into the document's. */
function withDocumentReferences(schema: object): Record<string, unknown> {
  return z
    .record(z.string(), z.unknown())
    .parse(
      JSON.parse(JSON.stringify(schema), (key, value: unknown) =>
        key === "$ref" && typeof value === "string" && value.startsWith(definitions)
          ? `#/components/schemas/${value.slice(definitions.length)}`
          : value,
      ),
    );
}
