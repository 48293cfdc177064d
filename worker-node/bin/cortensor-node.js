#!/usr/bin/env node
// From the packed package this runs the bundle; from a clone, where there is none beside it, the sources.
import { existsSync } from "node:fs";

const [major, minor] = process.versions.node.split(".").map(Number);
if (major < 22 || (major === 22 && minor < 12)) {
  console.error(`cortensor-node needs Node.js 22.12 or later, and this is ${process.versions.node}.`);
  process.exit(1);
}
const sources = new URL("../cli.ts", import.meta.url);
const { main } = await import(existsSync(sources) ? sources.href : new URL("../dist/cli.js", import.meta.url).href);
process.exit(await main(process.argv));
