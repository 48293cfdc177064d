import { limits } from "../../core/limits.ts";
import { heartbeatText } from "../../core/wire/protocol.ts";
import type { RouterFrame } from "../../core/wire/router-frame.ts";

/** The signs of life that a node gives while it has work: without them the router takes its socket for lost. */
export class Beats {
  readonly #send: (text: string) => void;
  #everyMs: number = limits.busyHeartbeatMs;
  #timer: ReturnType<typeof setInterval> | undefined;
  #isOver = false;
  #unanswered = 0;

  constructor(send: (text: string) => void) {
    this.#send = send;
  }

  /** Takes note of a frame of the router. True where it only answers a beat. */
  hear(frame: RouterFrame): boolean {
    if (frame.type === "welcome") this.#everyMs = frame.busyHeartbeatMs;
    if (frame.type === "task" || (frame.type === "welcome" && frame.leases.length > 0)) this.#start();
    if (frame.type !== "heartbeat" || this.#unanswered === 0) return false;
    this.#unanswered -= 1;
    return true;
  }

  /** Ends the signs for good. */
  stop(): void {
    this.#isOver = true;
    clearInterval(this.#timer ?? null);
  }

  #start(): void {
    if (this.#isOver || this.#timer !== undefined) return;
    this.#timer = setInterval(() => {
      this.#unanswered += 1;
      this.#send(heartbeatText);
    }, this.#everyMs);
  }
}
