import { limits } from "../../core/limits.ts";

/** A timer that is this late tells of a process that stood still, not of a router that is silent. */
const lateMs = 500;

/**
 * The signs of life on one socket. Idle: one every `heartbeatMs`, and the socket is dead when one is not answered until
 * the next. While tasks run: one every `busyHeartbeatMs`, and the socket is dead once nothing at all was heard for
 * `limits.busySilenceMs`, since a reader waits.
 */
export class Heartbeat {
  readonly #heartbeatMs: number;
  readonly #busyHeartbeatMs: number;
  readonly #send: () => void;
  readonly #onSilent: () => void;
  #isBusy = false;
  #isAnswered = true;
  #beats: ReturnType<typeof setInterval>;
  #silence: ReturnType<typeof setTimeout> | undefined;
  #heardAtMs = performance.now();

  constructor(options: { heartbeatMs: number; busyHeartbeatMs: number; send: () => void; onSilent: () => void }) {
    this.#heartbeatMs = options.heartbeatMs;
    this.#busyHeartbeatMs = options.busyHeartbeatMs;
    this.#send = options.send;
    this.#onSilent = options.onSilent;
    this.#beats = setInterval(() => this.#beat(), this.#heartbeatMs);
  }

  /** Anything came from the router. */
  heard(): void {
    this.#isAnswered = true;
    this.#heardAtMs = performance.now();
    this.#silence?.refresh();
  }

  /** Whether tasks run now. May be said as often as one likes. */
  setBusy(isBusy: boolean): void {
    if (isBusy === this.#isBusy) return;
    this.#isBusy = isBusy;
    this.stop();
    this.#isAnswered = true;
    this.#beats = setInterval(() => this.#beat(), isBusy ? this.#busyHeartbeatMs : this.#heartbeatMs);
    if (isBusy) this.#watch();
  }

  /** No more beats, and nobody is told of silence. */
  stop(): void {
    clearInterval(this.#beats);
    clearTimeout(this.#silence);
    this.#silence = undefined;
  }

  #beat(): void {
    if (!this.#isBusy && !this.#isAnswered) {
      this.#onSilent();
      return;
    }
    this.#isAnswered = false;
    this.#send();
  }

  #watch(): void {
    this.#heardAtMs = performance.now();
    this.#silence = setTimeout(() => {
      if (performance.now() - this.#heardAtMs < limits.busySilenceMs + lateMs) return this.#onSilent();
      // This process stood still: what the router sent meanwhile is not read yet, and no beat asked it for an answer.
      this.#send();
      this.#watch();
    }, limits.busySilenceMs);
  }
}
