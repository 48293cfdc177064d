import { DurableObject } from "cloudflare:workers";
import { randomText } from "../../core/ids.ts";
import { limits } from "../../core/limits.ts";
import { answerLine } from "../batches/answer-line.ts";
import { type Batch, batchBody, batchSchema, isEnded, type LineCounts } from "../batches/batch-body.ts";
import { BatchLines, type LineProblem, linesOf } from "../batches/batch-lines.ts";
import type { Env } from "../env.ts";
import { fileBody } from "../files/file-body.ts";
import { fileStoreOf } from "../files/file-store.ts";
import { fileKey, putFile } from "../routes/files.ts";
import { longTexts, putText, textOf } from "./long-text.ts";
import { isMigrated, type Migration, migrate } from "./migrate.ts";

/** Longest time of one ring; the next begins at once. */
const ringMs = 20_000;
/** How long a batch's results are kept where it does not say, and how long the object remembers it. */
const keptMs = 30 * 24 * 3_600_000;
/** How long to wait where no node had room. */
const pauseMs = 1_000;
/** How long to wait after a fault of our own. */
const retryMs = 10_000;
/** Problems of a file that are told. */
const mostProblems = 100;
const encoder = new TextEncoder();

const sessionMigrations: readonly Migration[] = [
  longTexts(1),
  {
    number: 2,
    sql: `CREATE TABLE lines (
      place INTEGER PRIMARY KEY,
      custom_id TEXT NOT NULL,
      state TEXT NOT NULL,
      tries INTEGER NOT NULL DEFAULT 0
    );
    CREATE INDEX lines_by_state ON lines (state, place)`,
  },
];

type LineState = "pending" | "completed" | "failed";

/**
 * Tasks that go on without their caller: a batch, from its input file to its results. All it does it does in its alarm,
 * which rings again where the object was reset meanwhile; a line is done once its result is stored, and a line that was
 * under way at a reset is asked again.
 */
export class SessionObject extends DurableObject<Env> {
  readonly #sql = this.ctx.storage.sql;
  #isKnown = isMigrated(this.ctx.storage);
  /** Stops what is under way where the batch is cancelled. */
  #stop = new AbortController();

  /** Begins a batch. The same may come twice. */
  async begin(batch: Batch): Promise<object> {
    migrate(this.ctx.storage, sessionMigrations);
    this.#isKnown = true;
    if (textOf(this.#sql, "batch") === undefined) this.#put(batch);
    await this.ctx.storage.setAlarm(Date.now());
    return this.#body();
  }

  /** The batch, or `undefined` where there is none that belongs to this account. */
  read(accountId: string): object | undefined {
    return this.#isKnown && this.#batch().principal.accountId === accountId ? this.#body() : undefined;
  }

  /** Stops it; what is done stays. One that has ended stays as it is. */
  async cancel(accountId: string): Promise<object | undefined> {
    if (this.read(accountId) === undefined) return undefined;
    const batch = this.#batch();
    if (batch.status === "validating" || batch.status === "in_progress") {
      this.#put({ ...batch, status: "cancelling", cancellingAtMs: Date.now() });
      this.#stop.abort();
      await this.ctx.storage.setAlarm(Date.now());
    }
    return this.#body();
  }

  override async alarm(): Promise<void> {
    if (!this.#isKnown) return;
    const batch = this.#batch();
    if (isEnded(batch)) {
      await this.ctx.storage.deleteAll();
      this.#isKnown = false;
      return;
    }
    await this.ctx.storage.setAlarm((await this.#step(batch)) ?? Date.now());
  }

  /** Does what is next. Returns when to ring again; never throws, since the platform gives an alarm up that fails six times. */
  async #step(batch: Batch): Promise<number | undefined> {
    try {
      if (batch.status === "validating") await this.#validate(batch);
      else if (batch.status === "in_progress") await this.#work(batch);
      else await this.#finish(batch);
      return isEnded(this.#batch()) ? Date.now() + keptMs : undefined;
    } catch (error) {
      console.error("session: a step of a batch failed and is tried again", { batch: batch.id, error: String(error) });
      return Date.now() + retryMs;
    }
  }

  async #validate(batch: Batch): Promise<void> {
    this.#sql.exec("DELETE FROM lines");
    const { accountId } = batch.principal;
    const bytes = await fileStoreOf(this.env).get(fileKey(accountId, batch.inputFileId));
    const problems: LineProblem[] = [];
    const reader = new BatchLines(batch.endpoint);
    let place = 0;
    if (bytes !== undefined) {
      for await (const text of linesOf(bytes)) {
        place += 1;
        if (place > limits.batchLines || problems.length >= mostProblems) break;
        const line = reader.read(text, place);
        if ("code" in line) problems.push(line);
        else {
          this.#sql.exec("INSERT INTO lines (place, custom_id, state) VALUES (?, ?, 'pending')", place, line.customId);
          putText(this.#sql, `body ${place}`, line.body);
        }
      }
    }
    if (place === 0) problems.push({ code: "empty_file", line: 1, param: null, message: "The file has no lines." });
    if (place > limits.batchLines) {
      const message = `A batch has at most ${limits.batchLines} requests.`;
      problems.push({ code: "too_many_requests", line: place, param: null, message });
    }
    const now = this.#batch();
    // It may have been cancelled meanwhile.
    if (now.status !== "validating") return;
    if (problems.length === 0) this.#put({ ...now, status: "in_progress", inProgressAtMs: Date.now() });
    else {
      this.#sql.exec("DELETE FROM lines");
      this.#put({ ...now, status: "failed", errors: problems, endedAtMs: Date.now() });
    }
  }

  /** Answers lines, several at once, until the ring's time is over or all are done. */
  async #work(batch: Batch): Promise<void> {
    const untilMs = Math.min(Date.now() + ringMs, batch.expiresAtMs);
    this.#stop = new AbortController();
    const pending = this.#sql
      .exec<{ place: number; custom_id: string }>(
        "SELECT place, custom_id FROM lines WHERE state = 'pending' ORDER BY place LIMIT 2000",
      )
      .toArray();
    const worker = async () => {
      for (let line = pending.shift(); line !== undefined; line = pending.shift()) {
        if (Date.now() > untilMs || this.#stop.signal.aborted) return;
        await this.#answer(batch, line.place, line.custom_id);
      }
    };
    await Promise.all(Array.from({ length: limits.batchTasks }, worker));
    const isDone = this.#counts().pending === 0;
    if (!isDone && Date.now() < batch.expiresAtMs) return;
    const now = this.#batch();
    if (now.status === "in_progress") this.#put({ ...now, status: "finalizing", finalizingAtMs: Date.now() });
  }

  async #answer(batch: Batch, place: number, customId: string): Promise<void> {
    const body = textOf(this.#sql, `body ${place}`);
    if (body === undefined) throw new Error(`line ${place} has no body`);
    const { tries } = this.#sql.exec<{ tries: number }>("SELECT tries FROM lines WHERE place = ?", place).one();
    const result = await answerLine(body, {
      endpoint: batch.endpoint,
      tries,
      asked: {
        env: this.env,
        principal: batch.principal,
        requestId: `req_${randomText(20)}`,
        headers: {},
        signal: this.#stop.signal,
        waitUntil: (promise) => this.ctx.waitUntil(promise),
      },
    });
    // A call that was broken off by a cancel is no answer.
    if (this.#stop.signal.aborted) return;
    if (result.kind === "later") {
      if (result.isTry) this.#sql.exec("UPDATE lines SET tries = tries + 1 WHERE place = ?", place);
      await new Promise((resolve) => setTimeout(resolve, pauseMs));
      return;
    }
    const line = JSON.stringify({ id: `batch_req_${randomText(24)}`, custom_id: customId, ...result.line });
    this.ctx.storage.transactionSync(() => {
      putText(this.#sql, `result ${place}`, line);
      this.#sql.exec("UPDATE lines SET state = ? WHERE place = ?", result.kind, place);
      this.#sql.exec("DELETE FROM texts WHERE name = ?", `body ${place}`);
    });
  }

  /** Writes the results, and ends the batch. */
  async #finish(batch: Batch): Promise<void> {
    const isCancelled = batch.status === "cancelling";
    const outputFileId = await this.#write(batch, "completed", "output");
    const errorFileId = await this.#write(batch, isCancelled ? "failed" : "others", "error");
    const status = isCancelled ? "cancelled" : this.#counts().pending > 0 ? "expired" : "completed";
    this.#put({ ...batch, status, outputFileId, errorFileId, endedAtMs: Date.now() });
    this.#sql.exec("DELETE FROM texts WHERE name <> 'batch'");
  }

  /** A file of the lines that ended so, in their order; null where there is none. Its id is the batch's own, so that it comes once. */
  async #write(batch: Batch, which: "completed" | "failed" | "others", what: string): Promise<string | null> {
    const condition = which === "others" ? "state <> 'completed'" : `state = '${which}'`;
    const places = this.#sql
      .exec<{ place: number; custom_id: string; state: LineState }>(
        `SELECT place, custom_id, state FROM lines WHERE ${condition} ORDER BY place`,
      )
      .toArray();
    if (places.length === 0) return null;
    const { accountId } = batch.principal;
    const id = `file-${batch.id.replace("batch_", "")}-${what}`;
    const lines = async function* (this: SessionObject): AsyncGenerator<Uint8Array, void> {
      for (const { place, custom_id: customId, state } of places) {
        const line = state === "pending" ? expiredLine(customId) : textOf(this.#sql, `result ${place}`);
        yield encoder.encode(`${line}\n`);
      }
    };
    const sizeBytes = await fileStoreOf(this.env).put(fileKey(accountId, id), lines.call(this));
    const createdAtMs = Date.now();
    const expiresAtMs = createdAtMs + (batch.keptMs ?? keptMs);
    const filename = `${batch.id}_${what}.jsonl`;
    const file = fileBody({ id, sizeBytes, createdAtMs, expiresAtMs, filename, purpose: "batch_output" });
    await putFile(this.env, accountId, file, { createdAtMs, expiresAtMs });
    return id;
  }

  #counts(): LineCounts & { pending: number } {
    const rows = this.#sql
      .exec<{ state: LineState; count: number }>("SELECT state, count(*) AS count FROM lines GROUP BY state")
      .toArray();
    const of = (state: LineState) => rows.find((row) => row.state === state)?.count ?? 0;
    const [pending, completed, failed] = [of("pending"), of("completed"), of("failed")];
    return { total: pending + completed + failed, completed, failed, pending };
  }

  #body(): object {
    return batchBody(this.#batch(), this.#counts());
  }

  #batch(): Batch {
    return batchSchema.parse(JSON.parse(textOf(this.#sql, "batch") ?? "null"));
  }

  #put(batch: Batch): void {
    putText(this.#sql, "batch", JSON.stringify(batch));
  }
}

function expiredLine(customId: string): string {
  return JSON.stringify({
    ...{ id: `batch_req_${randomText(24)}`, custom_id: customId, response: null },
    error: { code: "batch_expired", message: "The batch expired before this request was answered." },
  });
}
