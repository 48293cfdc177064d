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

/** Schemas of what a vendor says that its service answers, from its own OpenAPI document (3.1, so JSON Schema 2020-12). */
export class VendorSpec {
  readonly #ajv: Ajv2020;
  readonly #id: string;
  readonly #names: ReadonlySet<string>;

  private constructor(vendor: Vendor, document: z.output<typeof documentSchema>) {
    // What else stands in a document than schemas is no keyword; unknown formats are documentation.
    this.#ajv = new Ajv2020({ strict: false, validateFormats: true, allErrors: false, logger: false });
    addFormats.default(this.#ajv);
    this.#id = `vendor:${vendor}`;
    this.#names = new Set(Object.keys(document.components.schemas));
    this.#ajv.addSchema({ $id: this.#id, components: document.components });
  }

  /** The description of this vendor, from the wheel that carries both. */
  static async load(vendor: Vendor): Promise<VendorSpec> {
    const path = z.string().parse(await runPython(ensurePython(), "vendor_spec_path.py", { vendor }));
    const document: unknown = parse(readFileSync(path, "utf8"), { maxAliasCount: -1 });
    return new VendorSpec(vendor, documentSchema.parse(withNullTypes(document)));
  }

  /** What is wrong with a value that should fit this schema; empty where nothing is. */
  problems(name: string, value: unknown): string[] {
    const validate = this.#validator(name);
    if (validate(value)) return [];
    return (validate.errors ?? []).map(
      ({ instancePath, message, params }) => `${name}${instancePath} ${message} ${JSON.stringify(params)}`,
    );
  }

  #validator(name: string): ValidateFunction {
    if (!this.#names.has(name)) throw new Error(`${this.#id} has no schema ${name}`);
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
