import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname } from "node:path";
import { compileFunction, constants } from "node:vm";

export type XGrammar = typeof import("@mlc-ai/web-xgrammar");

/** The grammar engine. Its file is a script of the older kind inside a package that calls itself an ES module. */
export function loadXGrammar(): XGrammar {
  const path = createRequire(import.meta.url).resolve("@mlc-ai/web-xgrammar");
  const module: { exports: unknown } = { exports: {} };
  const names = ["exports", "require", "module", "__filename", "__dirname"];
  const run = compileFunction(readFileSync(path, "utf8"), names, {
    filename: path,
    importModuleDynamically: constants.USE_MAIN_CONTEXT_DEFAULT_LOADER,
  });
  run(module.exports, createRequire(path), module, path, dirname(path));
  if (isXGrammar(module.exports)) return module.exports;
  throw new Error(`${path} is not the grammar engine that was expected`);
}

function isXGrammar(value: unknown): value is XGrammar {
  return typeof value === "object" && value !== null && "GrammarCompiler" in value && "GrammarMatcher" in value;
}
