import { SELF } from "cloudflare:test";
import { Ajv2020 } from "ajv/dist/2020.js";
import addFormats from "ajv-formats";
import { expect, test } from "vitest";
import { z } from "zod";
import { openApiDocument } from "./document.ts";
import { operations } from "./operations.ts";

const bodySchema = z.object({ schema: z.looseObject({}), example: z.looseObject({}).optional() });
const documentSchema = z.object({
  openapi: z.literal("3.1.0"),
  components: z.object({ schemas: z.record(z.string(), z.looseObject({})) }),
  paths: z.record(
    z.string(),
    z.record(
      z.string(),
      z.object({
        operationId: z.string(),
        requestBody: z.object({ content: z.record(z.string(), bodySchema) }).optional(),
        responses: z.record(z.string(), z.looseObject({})),
        parameters: z.array(z.object({ name: z.string(), in: z.string(), schema: z.looseObject({}) })).optional(),
      }),
    ),
  ),
});
const document = documentSchema.parse(JSON.parse(JSON.stringify(openApiDocument("https://router.example"))));
const all = Object.values(document.paths).flatMap((methods) => Object.values(methods));

/** Of a schema as it stands in the document, to which its references lead. */
function validatorOf(schema: object) {
  const ajv = new Ajv2020({ strict: false });
  addFormats.default(ajv);
  return ajv.compile({ ...schema, components: document.components });
}

test("every reference leads to a schema of the document", () => {
  const references = [...JSON.stringify(document).matchAll(/"\$ref":"([^"]*)"/g)].map(([, reference]) => reference);
  const known = Object.keys(document.components.schemas).map((name) => `#/components/schemas/${name}`);
  expect(known).toEqual(expect.arrayContaining([...new Set(references)]));
  expect(new Set(references)).toContain("#/components/schemas/Json");
});

test("every operation is there once, under an id of its own", () => {
  expect(all).toHaveLength(operations.length);
  expect(new Set(all.map(({ operationId }) => operationId)).size).toBe(operations.length);
});

test("every part of a path in braces is a parameter", () => {
  for (const [path, methods] of Object.entries(document.paths)) {
    for (const { parameters = [] } of Object.values(methods)) {
      const inPath = parameters.filter((parameter) => parameter.in === "path").map(({ name }) => name);
      expect(inPath).toEqual([...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name));
    }
  }
});

test("every body's example fits its schema, and fits no more without its model or with another type of it", () => {
  const bodies = all.flatMap(({ requestBody }) => Object.values(requestBody?.content ?? {}));
  const withExample = bodies.filter(({ example }) => example !== undefined);
  expect(withExample.length).toBeGreaterThanOrEqual(6);
  for (const { schema, example = {} } of withExample) {
    const fits = validatorOf(schema);
    expect([fits(example), fits.errors]).toEqual([true, null]);
    const { model: _, ...without } = example;
    expect(fits(without)).toBe(false);
    expect(fits({ ...example, model: 5 })).toBe(false);
  }
  for (const { schema } of bodies) validatorOf(schema);
});

test("bounds of fields are told", () => {
  const chat = document.paths["/v1/chat/completions"]?.post?.requestBody?.content["application/json"];
  const fits = validatorOf(chat?.schema ?? {});
  expect(fits({ ...chat?.example, temperature: 2 })).toBe(true);
  expect(fits({ ...chat?.example, temperature: 2.1 })).toBe(false);
  expect(fits({ ...chat?.example, n: 0 })).toBe(false);
});

test("every operation is really there: without a key each asks for one, in its API's own words", async () => {
  for (const { method, path, errors } of operations) {
    const response = await SELF.fetch(`https://router.example${path.replaceAll(/\{\w+\}/g, "x")}`, {
      method: method.toUpperCase(),
    });
    const body = z.looseObject({}).parse(await response.json());
    const words =
      errors === "anthropic" ? { error: { type: "authentication_error" } } : { error: { code: "missing_api_key" } };
    expect([path, response.status, body]).toMatchObject([path, 401, words]);
  }
});

test("the document and its page are served, and the page asks nothing of elsewhere", async () => {
  const served = await SELF.fetch("https://router.example/openapi.json");
  expect(await served.json()).toEqual(JSON.parse(JSON.stringify(openApiDocument("https://router.example"))));
  const page = await (await SELF.fetch("https://router.example/docs")).text();
  expect(page).toContain('fetch("openapi.json")');
  expect(page).not.toMatch(/(src|href)="https?:/);
});
