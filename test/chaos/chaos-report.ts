import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { faultOutcomeSchema } from "./fault-table.ts";
import { settings } from "./settings.ts";

/** What each part of a chaos run leaves behind for the page. */
const reportSchemas = {
  faults: z.strictObject({
    seed: z.int(),
    outcomes: z.array(faultOutcomeSchema).min(1),
    /** Streams asked for, and tasks found in the record. */
    streams: z.int(),
    tasks: z.int(),
  }),
  /** Written once nothing has failed and every row was there, once. */
  postgres: z.strictObject({
    downMs: z.int(),
    /** Streams asked for in all, and those of them that were over before Postgres was back. */
    streams: z.int(),
    whileDown: z.int(),
  }),
};
type Reports = { [Name in keyof typeof reportSchemas]: z.infer<(typeof reportSchemas)[Name]> };
export type FaultReport = Reports["faults"];
export type PostgresReport = Reports["postgres"];

/** Writes a part's report where the run's settings name a folder for them; else does nothing. */
export function writeReport<Name extends keyof Reports>(name: Name, report: Reports[Name]): void {
  if (settings.reportsFolder === undefined) return;
  writeFileSync(join(settings.reportsFolder, `${name}.json`), JSON.stringify(report));
}

/** The reports that a run has left in a folder; a part that did not come to its end has left none. */
export function readReports(folder: string): { faults?: FaultReport; postgres?: PostgresReport } {
  const faults = jsonIn(folder, "faults");
  const postgres = jsonIn(folder, "postgres");
  return {
    ...(faults === undefined ? {} : { faults: reportSchemas.faults.parse(faults) }),
    ...(postgres === undefined ? {} : { postgres: reportSchemas.postgres.parse(postgres) }),
  };
}

function jsonIn(folder: string, name: keyof Reports): unknown {
  const path = join(folder, `${name}.json`);
  return existsSync(path) ? JSON.parse(readFileSync(path, "utf8")) : undefined;
}
