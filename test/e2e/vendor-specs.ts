import { readFileSync } from "node:fs";
import { Ajv2020, type ValidateFunction } from "ajv/dist/2020.js";
import addFormats from "ajv-formats";
import { parse } from "yaml";
import { z } from "zod";
import { ensurePython, runPython } from "./python.ts";

/** A vendor whose API descriptions are published. */
export type Vendor = "openai" | "anthropic";

const documentSchema = z.looseObject({
  paths: z.record(
    z.string(),
    z.record(
      z.string(),
      z.looseObject({ responses: z.record(z.string(), z.looseObject({ content: z.unknown().optional() })).optional() }),
    ),
  ),
  components: z.object({ schemas: z.record(z.string(), z.unknown()) }),
});

const referencesSchema = z.array(z.looseObject({ $ref: z.string().optional() })).optional();
const unionSchema = z.looseObject({ anyOf: referencesSchema, oneOf: referencesSchema });
const typeSchema = z.looseObject({
  properties: z.looseObject({
    type: z.looseObject({ const: z.string().optional(), enum: z.array(z.string()).optional() }),
  }),
});

const objectSchema = z.looseObject({
  $ref: z.string().optional(),
  allOf: z.array(z.unknown()).optional(),
  properties: z.record(z.string(), z.unknown()).optional(),
});

/** What a schema's `type` member may say. */
function typesOf(schema: unknown): string[] {
  const parsed = typeSchema.safeParse(schema);
  if (!parsed.success) return [];
  const { const: only, enum: several = [] } = parsed.data.properties.type;
  return only === undefined ? several : [only, ...several];
}

/** Schemas of what a vendor says that its service answers, from its own OpenAPI document (3.1, so JSON Schema 2020-12). */
export class VendorSpec {
  readonly #ajv: Ajv2020;
  readonly #id: string;
  readonly #schemas: Readonly<Record<string, unknown>>;

  private constructor(vendor: Vendor, document: z.output<typeof documentSchema>) {
    // What else stands in a document than schemas is no keyword; unknown formats are documentation.
    this.#ajv = new Ajv2020({ strict: false, validateFormats: true, allErrors: false, logger: false });
    addFormats.default(this.#ajv);
    this.#id = `vendor:${vendor}`;
    this.#schemas = document.components.schemas;
    this.#ajv.addSchema({ $id: this.#id, components: document.components });
  }

  /** The description of this vendor, from the wheel that carries both. */
  static async load(vendor: Vendor): Promise<VendorSpec> {
    const path = z.string().parse(await runPython(ensurePython(), "vendor_spec_path.py", { vendor }));
    const document: unknown = parse(readFileSync(path, "utf8"), { maxAliasCount: -1 });
    return new VendorSpec(vendor, documentSchema.parse(withNullTypes(document)));
  }

  /** What is wrong with a value that should fit this schema; empty where nothing is. */
  problems(union: string, value: unknown): string[] {
    const name = this.variantOf(union, value);
    const validate = this.#validator(name);
    if (validate(value)) return [];
    return (validate.errors ?? []).map(
      ({ instancePath, message, params }) => `${name}${instancePath} ${message} ${JSON.stringify(params)}`,
    );
  }

  /** Of a union of schemas the one whose `type` is the value's, so that problems are those of that one; else the name. */
  variantOf(name: string, value: unknown): string {
    const union = unionSchema.safeParse(this.#schemas[name]);
    const typed = z.object({ type: z.string() }).safeParse(value);
    if (!union.success || !typed.success) return name;
    const variants = [...(union.data.anyOf ?? []), ...(union.data.oneOf ?? [])].flatMap(
      ({ $ref }) => $ref?.split("/").at(-1) ?? [],
    );
    return variants.find((variant) => typesOf(this.#schemas[variant]).includes(typed.data.type)) ?? name;
  }

  /** The names of an object's members, with those of all that it is put together from. */
  propertiesOf(name: string): string[] {
    return [...new Set(this.#propertiesIn(this.#schemas[name]))];
  }

  #propertiesIn(value: unknown): string[] {
    const { $ref, allOf = [], properties = {} } = objectSchema.parse(value);
    const referred = $ref === undefined ? [] : this.#propertiesIn(this.#schemas[$ref.split("/").at(-1) ?? ""]);
    return [...referred, ...allOf.flatMap((each) => this.#propertiesIn(each)), ...Object.keys(properties)];
  }

  #validator(name: string): ValidateFunction {
    if (!(name in this.#schemas)) throw new Error(`${this.#id} has no schema ${name}`);
    const validate = this.#ajv.getSchema(`${this.#id}#/components/schemas/${name}`);
    if (validate === undefined) throw new Error(`the schema ${name} of ${this.#id} did not compile`);
    return validate;
  }
}

/** OpenAPI 3.0's `nullable`, which OpenAI's document still has in places, as JSON Schema says it. */
function withNullTypes(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withNullTypes);
  if (typeof value !== "object" || value === null) return value;
  const entries = Object.entries(value).map(([name, each]) => [name, withNullTypes(each)]);
  const { nullable, ...schema } = Object.fromEntries(entries);
  if (nullable === undefined || typeof nullable === "object") return Object.fromEntries(entries);
  return nullable === true ? { anyOf: [schema, { type: "null" }] } : schema;
}
