#!/usr/bin/env node
// npm's solc (WebAssembly, the same on every machine) behind the part of the native compiler's command line that forge
// uses: `--version`, and `--standard-json` with the input on stdin. Plain JavaScript, since forge starts it under
// whichever Node comes first on PATH.
import { readFileSync } from "node:fs";
import { isAbsolute, relative } from "node:path";
import { parseArgs } from "node:util";
import solc from "solc";

try {
  const { values: flags } = parseArgs({
    options: {
      version: { type: "boolean" },
      "standard-json": { type: "boolean" },
      "base-path": { type: "string", default: process.cwd() },
      // These say where a compiler may open files. This one opens none: every source's text is in its input.
      "allow-paths": { type: "string" },
      "include-path": { type: "string", multiple: true },
    },
  });
  if (flags.version) {
    console.log(`solc, the solidity compiler commandline interface\nVersion: ${solc.version()}`);
  } else if (flags["standard-json"]) {
    process.stdout.write(JSON.stringify(compile(JSON.parse(readFileSync(0, "utf8")), flags["base-path"])));
  } else {
    throw new Error("Say what to do: --version or --standard-json");
  }
} catch (error) {
  console.error(`solc.mjs: ${error.message}`);
  process.exitCode = 2;
}

/**
 * Compiles with every absolute source name made relative to `basePath`, and gives the output under the names that were
 * asked for. forge names a library's file outside its root absolutely, while the import that leads to it reads
 * relatively; the native compiler then opens the file, which WebAssembly can't. Relative names have a second use: they
 * stand in the metadata whose hash ends the bytecode, which so is the same wherever the checkout lies.
 */
function compile(input, basePath) {
  const shortName = (name) => (isAbsolute(name) ? relative(basePath, name).replaceAll("\\", "/") : name);
  const shortened = (table) =>
    Object.fromEntries(Object.entries(table).map(([name, value]) => [shortName(name), value]));

  const { sources, settings } = input;
  const output = JSON.parse(
    solc.compile(
      JSON.stringify({
        ...input,
        sources: shortened(sources),
        settings: {
          ...settings,
          outputSelection: shortened(settings.outputSelection ?? {}),
          libraries: shortened(settings.libraries ?? {}),
        },
      }),
    ),
  );

  const asAsked = (table = {}) =>
    Object.fromEntries(
      Object.keys(sources)
        .filter((name) => shortName(name) in table)
        .map((name) => [name, table[shortName(name)]]),
    );
  return { ...output, sources: asAsked(output.sources), contracts: asAsked(output.contracts) };
}
