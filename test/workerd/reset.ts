import { runInDurableObject } from "cloudflare:test";

const reason = "reset by a test";

/**
 * Does to an object what a deployment does: its memory is gone, its sockets and the calls under way break, its storage
 * stays. Unlike an eviction it does not wait for what is under way.
 */
export async function reset(stub: DurableObjectStub): Promise<void> {
  try {
    await runInDurableObject(stub, (_object: object, state) => state.abort(reason));
  } catch (error) {
    // The call is broken by the very reset that it asked for.
    if (String(error).includes(reason)) return;
    throw error;
  }
  throw new Error("the object lives on");
}
