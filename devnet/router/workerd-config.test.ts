import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { parse } from "smol-toml";
import { describe, expect, test } from "vitest";
import { z } from "zod";
import { parseWranglerSettings, workerdConfig } from "./workerd-config.ts";

const root = resolve(import.meta.dirname, "../..");
const read = (path: string) => readFileSync(join(root, path), "utf8");
const toml = read("wrangler.toml");
const settings = parseWranglerSettings(toml);
const { bindings } = settings.durable_objects;
const secrets = ["ADMIN_KEY", "DATABASE_URL"];
const config = workerdConfig(settings, { port: 8_787, objectsDir: "/var/objects", filesDir: "/var/files", secrets });

/** Names of what a pattern captures, sorted. */
const captured = (text: string, pattern: RegExp) =>
  [...text.matchAll(pattern)].map((match) => match.slice(1).join(" ")).toSorted();

describe("wrangler.toml", () => {
  test("binds the very objects that edge/env.ts names", () => {
    const bound = bindings.map(({ name, class_name }) => `${name} ${class_name}`).toSorted();
    expect(bound).toEqual(captured(read("edge/env.ts"), /^ {2}(\w+): DurableObjectNamespace<(\w+)>;$/gm));
    expect(bound.length).toBeGreaterThanOrEqual(4);
  });

  test("binds the very classes that its main module exports", () => {
    const exported = captured(read(settings.main), /^export \{ (\w+) \} from/gm);
    expect(bindings.map(({ class_name }) => class_name).toSorted()).toEqual(exported);
  });

  test("has made each class once, with SQLite storage", () => {
    const schema = z.object({
      migrations: z.array(z.object({ tag: z.string(), new_sqlite_classes: z.array(z.string()) })),
    });
    const { migrations } = schema.parse(parse(toml));
    const made = migrations.flatMap((migration) => migration.new_sqlite_classes);
    expect(made.toSorted()).toEqual(bindings.map(({ class_name }) => class_name).toSorted());
    expect(new Set(migrations.map(({ tag }) => tag)).size).toBe(migrations.length);
  });

  test("holds no secret", () => {
    for (const secret of ["ADMIN_KEY", "DATABASE_URL"]) expect(toml).not.toContain(secret);
  });

  test("that is not as the router needs it is refused", () => {
    expect(() => parseWranglerSettings('main = "edge/worker.ts"')).toThrow("compatibility_date");
    expect(() => parseWranglerSettings("main = ")).toThrow();
  });
});

describe("the devnet's workerd", () => {
  test.each(bindings.map(({ name, class_name }) => [name, class_name] as const))(
    "binds %s to %s, on disk with SQL",
    (name, className) => {
      expect(config).toContain(`(name = "${name}", durableObjectNamespace = "${className}")`);
      expect(config).toContain(
        `(className = "${className}", uniqueKey = "cortensor-edge-${className}", enableSql = true)`,
      );
    },
  );

  test("runs as wrangler.toml says", () => {
    expect(config).toContain(`compatibilityDate = "${settings.compatibility_date}"`);
    expect(settings.compatibility_flags).toContain("enable_request_signal");
    for (const flag of settings.compatibility_flags) expect(config).toContain(JSON.stringify(flag));
  });

  test("listens on loopback alone", () => {
    expect(captured(config, /address = "([^"]+)"/g)).toEqual(["127.0.0.1:8787"]);
  });

  test("takes secrets from its environment, by name", () => {
    for (const secret of secrets) expect(config).toContain(`(name = "${secret}", fromEnvironment = "${secret}")`);
  });

  test("keeps a path with quotes and backslashes one text", () => {
    const odd = workerdConfig(settings, { port: 1, objectsDir: 'C:\\a "b"', filesDir: "/f", secrets: [] });
    expect(odd).toContain('path = "C:\\\\a \\"b\\""');
  });

  test("has brackets that close", () => {
    const text = config.replaceAll(/"(?:[^"\\]|\\.)*"/g, "");
    for (const [open, close] of ["()", "[]"]) {
      expect(text.split(open ?? "").length).toBe(text.split(close ?? "").length);
    }
  });
});
