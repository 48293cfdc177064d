import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import {
  type Calibration,
  calibrationSchema,
  type EmbeddingCalibration,
  embeddingCalibrationSchema,
} from "../../core/validation/calibration.ts";
import { calibrations } from "../../core/validation/calibrations.ts";

/** All that is measured, as the file holds it. */
export interface Calibrations {
  chat: readonly Calibration[];
  embedding: readonly EmbeddingCalibration[];
}

export const calibrationsPath = join(import.meta.dirname, "../../core/validation/calibrations.ts");

/** What stands there, with this one in place of an earlier one of the same model and backend. */
export function withCalibration(found: { chat: Calibration } | { embedding: EmbeddingCalibration }): Calibrations {
  const others = <Entry extends { model: string; backend: string }>(entries: readonly Entry[], one: Entry): Entry[] => [
    ...entries.filter(({ model, backend }) => model !== one.model || backend !== one.backend),
    one,
  ];
  if ("chat" in found) return { ...calibrations, chat: others(calibrations.chat, calibrationSchema.parse(found.chat)) };
  const embedding = embeddingCalibrationSchema.parse(found.embedding);
  return { ...calibrations, embedding: others(calibrations.embedding, embedding) };
}

/** Writes the file anew; `biome format` brings it into shape. */
export function writeCalibrations(path: string, { chat, embedding }: Calibrations): void {
  const [head] = readFileSync(path, "utf8").split("  chat: [");
  const literal = (value: unknown) => JSON.stringify(value, null, 2).replace(/^( *)"(\w+)":/gm, "$1$2:");
  const brand = (value: unknown) => literal(value).replace(/(model: )("[0-9a-f]{64}")/g, "$1modelHashSchema.parse($2)");
  const imports = 'import { modelHashSchema } from "../ids.ts";\n';
  const start = (head ?? "").includes(imports) ? (head ?? "") : `${imports}${head}`;
  writeFileSync(path, `${start}  chat: ${brand(chat)},\n  embedding: ${brand(embedding)},\n};\n`);
}
