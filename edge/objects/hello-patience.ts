import { limits } from "../../core/limits.ts";
import { closeCodes } from "../../core/wire/protocol.ts";
import { close, stateOf } from "./node-socket.ts";

/** Ends sockets whose hello does not come within `limits.helloMs`. An object with a timer does not sleep. */
export class HelloPatience {
  readonly #timers = new WeakMap<WebSocket, ReturnType<typeof setTimeout>>();

  /** A hello is due on this socket. */
  begin(socket: WebSocket): void {
    const timer = setTimeout(() => {
      if (stateOf(socket).phase !== "open") close(socket, closeCodes.idle, "no hello in time");
    }, limits.helloMs);
    this.#timers.set(socket, timer);
  }

  /** It has come, or is not to be waited for any more. */
  end(socket: WebSocket): void {
    clearTimeout(this.#timers.get(socket) ?? null);
  }
}
