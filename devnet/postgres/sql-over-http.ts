import { z } from "zod";

/** One statement; parameters as the driver prepares them, text in Postgres's own notation. */
const statementSchema = z.object({
  // The character 0 ends a text in Postgres's wire protocol, so what follows it would be read as a message.
  query: z.string().refine((text) => !text.includes("\u0000"), "a query cannot hold the character 0"),
  params: z
    .array(z.union([z.string(), z.number(), z.boolean(), z.null()]))
    .default([])
    .transform((params) => params.map((value) => (value === null ? null : String(value)))),
});
export type Statement = z.infer<typeof statementSchema>;

/** The body of `POST /sql`: one statement, or several to run in one transaction. */
export const requestSchema = z.union([z.object({ queries: z.array(statementSchema) }), statementSchema]);
export type SqlRequest = z.infer<typeof requestSchema>;

const flag = z.enum(["true", "false"]).transform((text) => text === "true");
const isolationLevels = {
  ReadUncommitted: "read uncommitted",
  ReadCommitted: "read committed",
  RepeatableRead: "repeatable read",
  Serializable: "serializable",
} as const;

/** The headers that Neon's driver sends, in lower case as Node gives them. Values stay text: the driver parses them. */
export const headersSchema = z.object({
  "neon-connection-string": z.string(),
  "neon-raw-text-output": z.literal("true", "this endpoint gives values as Postgres's text only"),
  "neon-array-mode": flag.default(false),
  "neon-batch-isolation-level": z
    .enum(["ReadUncommitted", "ReadCommitted", "RepeatableRead", "Serializable"])
    .optional(),
  "neon-batch-read-only": flag.default(false),
  "neon-batch-deferrable": flag.default(false),
});
export type SqlHeaders = z.infer<typeof headersSchema>;

/** The statement that begins a batch's transaction as its headers ask. */
export function beginStatement(headers: SqlHeaders): string {
  const level = headers["neon-batch-isolation-level"] ?? "ReadCommitted";
  const access = headers["neon-batch-read-only"] ? "read only" : "read write";
  const deferrable = headers["neon-batch-deferrable"] ? "deferrable" : "not deferrable";
  return `begin isolation level ${isolationLevels[level]} ${access} ${deferrable}`;
}

/** What one statement gave, in the shape of Neon's answer. */
export interface StatementResult {
  /** First word of Postgres's command tag, as `INSERT`; empty for an empty statement. */
  command: string;
  rowCount: number | null;
  fields: {
    name: string;
    tableID: number;
    columnID: number;
    dataTypeID: number;
    dataTypeSize: number;
    dataTypeModifier: number;
    format: "text";
  }[];
  /** Values in Postgres's text format, in the order of `fields`. */
  rows: (string | null)[][];
}

/** The result as Neon puts it into JSON, rows as arrays or as objects. */
export function resultBody(result: StatementResult, { asArrays }: { asArrays: boolean }) {
  const rows = asArrays
    ? result.rows
    : result.rows.map((row) => Object.fromEntries(result.fields.map((field, column) => [field.name, row[column]])));
  return { ...result, rows, rowAsArray: asArrays };
}

/** The fields of an error that Postgres sends and the driver knows; absent ones are null, as Neon gives them. */
export interface SqlErrorBody {
  message: string;
  severity: string | null;
  /** SQLSTATE. */
  code: string | null;
  detail: string | null;
  hint: string | null;
  position: string | null;
  internalPosition: string | null;
  internalQuery: string | null;
  where: string | null;
  schema: string | null;
  table: string | null;
  column: string | null;
  dataType: string | null;
  constraint: string | null;
  file: string | null;
  line: string | null;
  routine: string | null;
}

/** An error body with nothing but what is given. */
export function sqlErrorBody(given: Partial<SqlErrorBody> & { message: string }): SqlErrorBody {
  return {
    severity: "ERROR",
    code: null,
    detail: null,
    hint: null,
    position: null,
    internalPosition: null,
    internalQuery: null,
    where: null,
    schema: null,
    table: null,
    column: null,
    dataType: null,
    constraint: null,
    file: null,
    line: null,
    routine: null,
    ...given,
  };
}
