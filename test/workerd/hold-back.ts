import { vi } from "vitest";
import { NodeObject } from "../../edge/objects/node-object.ts";
import { Reader } from "../../edge/objects/reader.ts";
import { until } from "./until.ts";

/**
 * From now on, Workers that come back for an attempt reach no NodeObject until they are let through: their nodes are
 * there first. `waiting` counts those that were held up.
 */
export function holdAttaches(): { waiting: () => number; letThrough: () => void } {
  const { attach } = NodeObject.prototype;
  let isHeld = true;
  const spy = vi.spyOn(NodeObject.prototype, "attach").mockImplementation(async function (this: NodeObject, request) {
    // A wait of the object's own: what another request resolves would not be its to await.
    while (isHeld) await new Promise((resolve) => setTimeout(resolve, 5));
    return attach.call(this, request);
  });
  return {
    waiting: () => spy.mock.calls.length,
    letThrough: () => {
      isHeld = false;
    },
  };
}

/** Watches for Workers that come back for an attempt; `untilSeen` resolves once so many have, from now on. */
export function watchAttaches(): { untilSeen: (attaches?: number) => Promise<void> } {
  const attach = vi.spyOn(NodeObject.prototype, "attach");
  return {
    untilSeen: async (attaches = 1) => {
      await until(() => attach.mock.calls.length >= attaches || undefined, "the Worker at the fresh object");
    },
  };
}

/** From now on, no Worker hears what became of a task that it handed to a NodeObject: only a reset ends its waiting. */
export function holdRunResults(): void {
  const { run } = NodeObject.prototype;
  vi.spyOn(NodeObject.prototype, "run").mockImplementation(async function (this: NodeObject, request) {
    await run.call(this, request);
    return new Promise(() => {});
  });
}

/** From now on, no Worker hears that an attempt is whole, though it is and is on record. */
export function holdEnds(): void {
  const { tell } = Reader.prototype;
  vi.spyOn(Reader.prototype, "tell").mockImplementation(function (this: Reader, event) {
    if (event.type !== "committed") tell.call(this, event);
  });
}
