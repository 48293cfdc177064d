import { mkdirSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { build } from "esbuild";

// `npm pack` and `npm publish` run this first: the package must run where neither TypeScript nor core/ is.
const dist = join(import.meta.dirname, "dist");
const { outputFiles } = await build({
  entryPoints: {
    cli: join(import.meta.dirname, "cli.ts"),
    // A thread of its own, which is started by its file's name.
    "grammar-thread": join(import.meta.dirname, "engine/grammar/grammar-thread.ts"),
  },
  bundle: true,
  format: "esm",
  platform: "node",
  // The oldest Node that package.json lets in.
  target: "node22.12",
  // Dependencies are installed beside the package; only what is ours goes into the bundle.
  packages: "external",
  outdir: dist,
  legalComments: "none",
  logLevel: "warning",
  write: false,
});
mkdirSync(dist, { recursive: true });
for (const { path, contents } of outputFiles) {
  // Another `npm pack` may read the bundle now: it sees the old one or the new, never a part.
  const draft = join(import.meta.dirname, `.pack-${process.pid}.part`);
  writeFileSync(draft, contents);
  renameSync(draft, path);
}
