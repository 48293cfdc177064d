import { env, runInDurableObject } from "cloudflare:test";
import { AccountObject } from "../../edge/objects/account-object.ts";
import { NodeObject } from "../../edge/objects/node-object.ts";
import { PoolObject } from "../../edge/objects/pool-object.ts";
import { ResponseObject } from "../../edge/objects/response-object.ts";
import { SessionObject } from "../../edge/objects/session-object.ts";
import { StatusObject, statusStub } from "../../edge/objects/status-object.ts";

const classes = {
  account: AccountObject,
  node: NodeObject,
  pool: PoolObject,
  response: ResponseObject,
  session: SessionObject,
  status: StatusObject,
};

/** What the platform calls by itself, and no object or Worker. */
const ownCalls = new Set(["constructor", "fetch", "alarm", "webSocketMessage", "webSocketClose", "webSocketError"]);

/** Counts by name: of calls `object.method`, of rows the table. */
export type Counts = Record<string, number>;

/**
 * Counts every call of an object by another or by a Worker, and every row that an object writes, from now until
 * `restore`. Methods that are added to an object are counted too.
 */
export async function countCalls(): Promise<{ calls: Counts; rows: () => Counts; restore: () => void }> {
  const calls: Counts = {};
  const cursors: { table: string; cursor: { rowsWritten: number } }[] = [];
  const restores: (() => void)[] = [];
  for (const [object, { prototype }] of Object.entries(classes)) {
    for (const name of Object.getOwnPropertyNames(prototype).filter((each) => !ownCalls.has(each))) {
      const count = () => {
        calls[`${object}.${name}`] = (calls[`${object}.${name}`] ?? 0) + 1;
      };
      restores.push(replaced(prototype, name, count));
    }
  }
  // All objects' storage has one prototype, which only an object can name.
  const sql = await runInDurableObject(statusStub(env), (_status, { storage }) => prototypeOf(storage.sql));
  const note = ([query]: unknown[], cursor: unknown) => {
    const table = /^\s*(?:INSERT(?: OR \w+)? INTO|REPLACE INTO|UPDATE|DELETE FROM)\s+(\w+)/.exec(String(query))?.[1];
    if (table !== undefined && isCursor(cursor)) cursors.push({ table, cursor });
  };
  restores.push(replaced(sql, "exec", note));
  return {
    calls,
    // A cursor knows its count once it was read.
    rows: () => {
      const rows: Counts = {};
      for (const { table, cursor } of cursors) rows[table] = (rows[table] ?? 0) + cursor.rowsWritten;
      return rows;
    },
    restore: () => {
      for (const restore of restores) restore();
    },
  };
}

/** Has a method report its calls, and returns what undoes it. */
function replaced(of: object, name: string, report: (parameters: unknown[], result: unknown) => void): () => void {
  const method: unknown = Reflect.get(of, name);
  if (typeof method !== "function") throw new Error(`${name} is no method`);
  Reflect.set(of, name, function (this: object, ...parameters: unknown[]): unknown {
    const result: unknown = Reflect.apply(method, this, parameters);
    report(parameters, result);
    return result;
  });
  return () => {
    Reflect.set(of, name, method);
  };
}

function prototypeOf(of: object): object {
  const prototype: unknown = Object.getPrototypeOf(of);
  if (typeof prototype !== "object" || prototype === null) throw new Error("the platform's storage has no prototype");
  return prototype;
}

function isCursor(value: unknown): value is { rowsWritten: number } {
  return typeof value === "object" && value !== null && "rowsWritten" in value && typeof value.rowsWritten === "number";
}
