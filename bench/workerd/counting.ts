import type { Env } from "../../edge/env.ts";
import { type Counts, noCounts } from "../router/counts.ts";

/** Counts of this isolate; workerd serves the Worker and all objects from one. */
export const counts: Counts = noCounts();

/** Sets all counts to 0. */
export function resetCounts(): void {
  Object.assign(counts, noCounts());
}

/** The Worker's or an object's environment, with every call of an object counted as `who`'s. */
export function countingEnv(env: Env, who: "workerCalls" | "objectCalls"): Env {
  return {
    ...env,
    NODE: countingNamespace(env.NODE, "NODE", who),
    POOL: countingNamespace(env.POOL, "POOL", who),
    ACCOUNT: countingNamespace(env.ACCOUNT, "ACCOUNT", who),
    STATUS: countingNamespace(env.STATUS, "STATUS", who),
    RESPONSE: countingNamespace(env.RESPONSE, "RESPONSE", who),
    SESSION: countingNamespace(env.SESSION, "SESSION", who),
  };
}

let isStorageCounted = false;

/**
 * Counts the rows and alarms of all objects from now on. The platform takes no other state than its own in an object's
 * constructor, so its methods are replaced where all objects find them; doing it twice does nothing.
 */
export function countStorage({ storage }: DurableObjectState): void {
  if (isStorageCounted) return;
  isStorageCounted = true;
  replaceMethod(storage.sql, "exec", (exec, of, parameters) => {
    const cursor = apply(exec, of, parameters);
    // A cursor knows its counts once it was read, which the caller does in this very turn.
    queueMicrotask(() => {
      counts.rowsRead += numberOf(cursor, "rowsRead");
      counts.rowsWritten += numberOf(cursor, "rowsWritten");
    });
    return cursor;
  });
  replaceMethod(storage, "setAlarm", (setAlarm, of, parameters) => {
    counts.rowsWritten += 1;
    return apply(setAlarm, of, parameters);
  });
}

/** How many frames a message of the wire carries: an array's length, or one. */
export function framesOf(message: string | ArrayBuffer): number {
  if (typeof message !== "string" || !message.startsWith("[")) return 1;
  const frames: unknown = JSON.parse(message);
  return Array.isArray(frames) ? frames.length : 1;
}

function countingNamespace<Namespace extends object>(
  namespace: Namespace,
  name: string,
  who: "workerCalls" | "objectCalls",
): Namespace {
  return behind(namespace, (property, value) => {
    if (property !== "get" && property !== "getByName") return undefined;
    return (...parameters: unknown[]) => {
      const stub = apply(value, namespace, parameters);
      if (typeof stub !== "object" || stub === null) throw new Error("a namespace gave no stub");
      return countingStub(stub, name, who);
    };
  });
}

function countingStub(stub: object, name: string, who: "workerCalls" | "objectCalls"): object {
  return behind(stub, (property, value) => {
    if (typeof value !== "function" || typeof property !== "string") return undefined;
    return (...parameters: unknown[]) => {
      const call = `${name}.${property}`;
      counts[who][call] = (counts[who][call] ?? 0) + 1;
      return apply(value, stub, parameters);
    };
  });
}

function replaceMethod(
  of: object,
  name: string,
  act: (method: unknown, of: object, parameters: unknown[]) => unknown,
): void {
  const prototype: unknown = Object.getPrototypeOf(of);
  if (typeof prototype !== "object" || prototype === null) throw new Error("the platform's objects have no prototype");
  const method: unknown = Reflect.get(prototype, name);
  Reflect.set(prototype, name, function (this: object, ...parameters: unknown[]) {
    return act(method, this, parameters);
  });
}

/** An object of the platform with some of its properties replaced; `undefined` leaves one as it is. */
function behind<Target extends object>(
  target: Target,
  replace: (property: string | symbol, value: unknown) => unknown,
): Target {
  return new Proxy(target, {
    get(of, property) {
      const value: unknown = Reflect.get(of, property, of);
      const replaced = replace(property, value);
      if (replaced !== undefined) return replaced;
      // Methods of the platform take no other `this` than their own.
      return typeof value === "function" ? (...parameters: unknown[]) => apply(value, of, parameters) : value;
    },
  });
}

function apply(method: unknown, of: object, parameters: unknown[]): unknown {
  if (typeof method !== "function") throw new Error("the platform has no such method");
  return Reflect.apply(method, of, parameters);
}

function numberOf(of: unknown, property: string): number {
  const value: unknown = typeof of === "object" && of !== null ? Reflect.get(of, property) : undefined;
  return typeof value === "number" ? value : 0;
}
