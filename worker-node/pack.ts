import { mkdirSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { build } from "esbuild";

// `npm pack` and `npm publish` run this first: the package must run where neither TypeScript nor core/ is.
const dist = join(import.meta.dirname, "dist");
const { outputFiles } = await build({
  entryPoints: [join(import.meta.dirname, "cli.ts")],
  bundle: true,
  format: "esm",
  platform: "node",
  // The oldest Node that package.json lets in.
  target: "node22.12",
  // Dependencies are installed beside the package; only what is ours goes into the bundle.
  packages: "external",
  outfile: join(dist, "cli.js"),
  legalComments: "none",
  logLevel: "warning",
  write: false,
});
const [bundle, ...more] = outputFiles;
if (bundle === undefined || more.length > 0)
  throw new Error(`the bundle has ${outputFiles.length} files instead of one`);
mkdirSync(dist, { recursive: true });
// Another `npm pack` may read the bundle now: it sees the old one or the new, never a part.
const draft = join(import.meta.dirname, `.pack-${process.pid}.part`);
writeFileSync(draft, bundle.contents);
renameSync(draft, bundle.path);
