import { existsSync } from "node:fs";
import { mkdir, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { messages, PGlite, protocol } from "@electric-sql/pglite";
import { type SqlErrorBody, type Statement, type StatementResult, sqlErrorBody } from "./sql-over-http.ts";

/** What Postgres answered: a result for each statement, or the error that undid them all. */
export type Outcome = { ok: true; results: StatementResult[] } | { ok: false; error: SqlErrorBody };

const { serialize, Parser } = protocol;

/**
 * An embedded Postgres that speaks its own wire protocol, so that values come and go as text, unparsed.
 *
 * It is one session: calls wait for each other in the order in which they came, and each finds the session as new.
 */
export class Postgres {
  readonly #pglite: PGlite;
  /** Settles, never rejects, when the last call so far is done. */
  #last: Promise<void> = Promise.resolve();

  private constructor(pglite: PGlite) {
    this.#pglite = pglite;
  }

  /** Opens the database in `dataDir`, made where there is none; in memory where no directory is given. */
  static async open({ dataDir }: { dataDir?: string | undefined }): Promise<Postgres> {
    return new Postgres(dataDir === undefined ? await PGlite.create() : await openDirectory(dataDir));
  }

  /** Runs one statement in a transaction of its own. Rejects only where Postgres itself broke down. */
  async run(statement: Statement): Promise<Outcome> {
    return this.#inTurn(() => this.#execute(statement));
  }

  /** Runs statements in one transaction that `begin` (a statement) opens; the first error undoes them all. */
  async runBatch({ begin, statements }: { begin: string; statements: readonly Statement[] }): Promise<Outcome> {
    return this.#inTurn(async () => {
      const begun = await this.#execute({ query: begin, params: [] });
      if (!begun.ok) return begun;
      const results: StatementResult[] = [];
      for (const statement of statements) {
        const outcome = await this.#execute(statement);
        if (!outcome.ok) return outcome;
        results.push(...outcome.results);
      }
      const committed = await this.#execute({ query: "commit", params: [] });
      return committed.ok ? { ok: true, results } : committed;
    });
  }

  /** Resolves when the calls made so far are done. */
  async idle(): Promise<void> {
    await this.#last;
  }

  /** Waits for the calls made so far and closes the database. No call may follow. */
  async close(): Promise<void> {
    await this.#last;
    await this.#pglite.close();
  }

  #inTurn(job: () => Promise<Outcome>): Promise<Outcome> {
    const result = this.#last.then(async () => {
      const outcome = await job();
      // What a statement left behind (an open or broken transaction, settings, temporary tables) ends with its call.
      if (this.#pglite.isInTransaction()) await this.#execute({ query: "rollback", params: [] });
      await this.#execute({ query: "discard all", params: [] });
      return outcome;
    });
    const settled = () => undefined;
    this.#last = result.then(settled, settled);
    return result;
  }

  async #execute({ query, params }: Statement): Promise<Outcome> {
    const request = concatenated([
      serialize.parse({ text: query }),
      serialize.bind({ values: params }),
      serialize.describe({ type: "P" }),
      serialize.execute(),
      // COPY … FROM STDIN would wait for data that HTTP cannot bring; any other statement ignores this message.
      serialize.copyFail("COPY is not possible over HTTP"),
      serialize.sync(),
    ]);
    const answer = await this.#pglite.execProtocolRaw(request);
    const result: StatementResult = { command: "", rowCount: null, fields: [], rows: [] };
    let error: SqlErrorBody | undefined;
    new Parser().parse(answer, (message) => {
      if (message instanceof messages.DatabaseError) error ??= errorBody(message);
      else if (message instanceof messages.RowDescriptionMessage) result.fields = message.fields.map(fieldBody);
      else if (message instanceof messages.DataRowMessage) result.rows.push(message.fields);
      else if (message instanceof messages.CommandCompleteMessage) Object.assign(result, parseTag(message.text));
    });
    return error === undefined ? { ok: true, results: [result] } : { ok: false, error };
  }
}

/** A new database is made aside and moved into place when it is whole: a process killed meanwhile leaves none. */
async function openDirectory(dataDir: string): Promise<PGlite> {
  const place = join(dataDir, "pgdata");
  if (!existsSync(place)) {
    const unfinished = join(dataDir, "pgdata.unfinished");
    await rm(unfinished, { recursive: true, force: true });
    await mkdir(dataDir, { recursive: true });
    const fresh = await PGlite.create(unfinished);
    await fresh.close();
    await rename(unfinished, place);
  }
  return PGlite.create(place);
}

/** Command and row count of a tag as `INSERT 0 5`, `SELECT 3`, `CREATE TABLE`; INSERT has an unused number between. */
function parseTag(tag: string): Pick<StatementResult, "command" | "rowCount"> {
  const [command = "", ...numbers] = tag.split(" ");
  const rows = command === "INSERT" ? numbers[1] : numbers[0];
  return { command, rowCount: rows !== undefined && /^\d+$/.test(rows) ? Number(rows) : null };
}

function fieldBody(field: messages.Field): StatementResult["fields"][number] {
  const { name, tableID, columnID, dataTypeID, dataTypeSize, dataTypeModifier } = field;
  return { name, tableID, columnID, dataTypeID, dataTypeSize, dataTypeModifier, format: "text" };
}

function errorBody(error: messages.DatabaseError): SqlErrorBody {
  return sqlErrorBody({
    message: error.message,
    severity: error.severity ?? null,
    code: error.code ?? null,
    detail: error.detail ?? null,
    hint: error.hint ?? null,
    position: error.position ?? null,
    internalPosition: error.internalPosition ?? null,
    internalQuery: error.internalQuery ?? null,
    where: error.where ?? null,
    schema: error.schema ?? null,
    table: error.table ?? null,
    column: error.column ?? null,
    dataType: error.dataType ?? null,
    constraint: error.constraint ?? null,
    file: error.file ?? null,
    line: error.line ?? null,
    routine: error.routine ?? null,
  });
}

function concatenated(parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
  let offset = 0;
  for (const part of parts) {
    whole.set(part, offset);
    offset += part.length;
  }
  return whole;
}
