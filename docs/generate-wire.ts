import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { wireDocs } from "./wire-docs.ts";

/** `npm run wire:docs`: writes `docs/WIRE.md` from the schemas of `core/wire`. */
writeFileSync(join(import.meta.dirname, "WIRE.md"), await wireDocs());
