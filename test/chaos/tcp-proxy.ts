import { connect, createServer, type Server, type Socket } from "node:net";

/** Which way bytes go: from the one who dialled the proxy to its target, or back. */
export type Direction = "toTarget" | "fromTarget";

export interface TcpProxyOptions {
  /** Port on loopback that connections are handed on to, asked for at each one. */
  targetPort: () => number;
  /** Told every byte that is handed on, when it is. `connection` counts from 1. */
  onBytes?: (passage: { connection: number; direction: Direction; bytes: Uint8Array }) => void;
  /** Told when both sides of a connection are closed. */
  onClosed?: (connection: number) => void;
}

/** Bytes that wait for their time, oldest first; `undefined` is the end of the stream. */
type Queued = { bytes: Uint8Array | undefined; atMs: number };

/**
 * A TCP proxy on loopback that breaks connections as networks do: cut, refused, half-open, slow. Healthy unless told
 * otherwise, with one trait of its own: that a side is gone which closed in good order and then met a write, the other
 * learns one write later than it would without a proxy between them.
 */
export class TcpProxy {
  readonly #options: TcpProxyOptions;
  readonly #server: Server;
  readonly #pairs = new Set<Pair>();
  #count = 0;
  #isRefusing = false;
  #delayMs = 0;

  private constructor(options: TcpProxyOptions) {
    this.#options = options;
    // Half-open sockets are this proxy's trade: each direction is ended by itself.
    this.#server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => this.#take(socket));
  }

  /** A proxy that listens on a free port of 127.0.0.1. */
  static listen(options: TcpProxyOptions): Promise<TcpProxy> {
    const proxy = new TcpProxy(options);
    return new Promise((resolve, reject) => {
      proxy.#server.once("error", reject);
      proxy.#server.listen(0, "127.0.0.1", () => resolve(proxy));
    });
  }

  get port(): number {
    const address = this.#server.address();
    if (address === null || typeof address === "string") throw new Error("The proxy does not listen.");
    return address.port;
  }

  /** Connections that it has handed on since it began, and those that are open now. */
  get counts(): { total: number; open: number } {
    return { total: this.#count, open: this.#pairs.size };
  }

  /** Resets every connection, both sides. */
  cut(): void {
    for (const pair of [...this.#pairs]) pair.reset();
  }

  /** Resets connections as they come, until {@link accept}. */
  refuse(): void {
    this.#isRefusing = true;
  }

  accept(): void {
    this.#isRefusing = false;
  }

  /** Cuts, refuses for so long, and accepts again; resolves then. */
  async cutFor(ms: number): Promise<void> {
    this.refuse();
    this.cut();
    await new Promise((resolve) => setTimeout(resolve, ms));
    this.accept();
  }

  /**
   * Hands on nothing more of the connections there are, while their sockets stay open: neither side hears of the
   * other, nor of its end. Connections that come later are well. In one direction, or in both.
   */
  freeze(directions: readonly Direction[] = ["toTarget", "fromTarget"]): void {
    for (const pair of this.#pairs) for (const direction of directions) pair.halves[direction].freeze();
  }

  /** Hands on what was held back, ends too. */
  heal(): void {
    for (const pair of this.#pairs) for (const half of Object.values(pair.halves)) half.heal();
  }

  /** From now on every byte arrives this much later, in order. 0 is none. */
  delay(ms: number): void {
    this.#delayMs = ms;
  }

  /** Stops listening and resets what is open. */
  close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    this.cut();
    return closed;
  }

  #take(client: Socket): void {
    if (this.#isRefusing) {
      // A client that goes away first makes an error of this reset, which changes nothing.
      client.on("error", () => client.destroy());
      client.resetAndDestroy();
      return;
    }
    this.#count += 1;
    const connection = this.#count;
    const target = connect({
      host: "127.0.0.1",
      port: this.#options.targetPort(),
      allowHalfOpen: true,
      noDelay: true,
    });
    const half = (direction: Direction, source: Socket, sink: Socket) =>
      new Half({
        source,
        sink,
        delayMs: () => this.#delayMs,
        onBytes: (bytes) => this.#options.onBytes?.({ connection, direction, bytes }),
      });
    const pair = new Pair({
      toTarget: half("toTarget", client, target),
      fromTarget: half("fromTarget", target, client),
    });
    this.#pairs.add(pair);
    pair.onGone = () => {
      if (this.#pairs.delete(pair)) this.#options.onClosed?.(connection);
    };
  }
}

/** One connection: the client's socket and the target's, joined by a half for each direction. */
class Pair {
  readonly halves: Readonly<Record<Direction, Half>>;
  onGone: () => void = () => {};

  constructor(halves: Record<Direction, Half>) {
    this.halves = halves;
    const [one, other] = [halves.toTarget, halves.fromTarget];
    for (const [socket, away] of [
      [one.source, one],
      [other.source, other],
    ] as const) {
      socket.on("error", () => away.sourceBroke());
      socket.on("close", () => {
        away.sourceClosed();
        if (one.source.destroyed && other.source.destroyed) this.onGone();
      });
    }
  }

  reset(): void {
    for (const half of Object.values(this.halves)) half.source.resetAndDestroy();
  }
}

/** Hands bytes on from one socket to another. */
class Half {
  readonly source: Socket;
  readonly #sink: Socket;
  readonly #delayMs: () => number;
  readonly #onBytes: (bytes: Uint8Array) => void;
  readonly #queue: Queued[] = [];
  #isFrozen = false;
  #isSourceGone = false;
  #isSourceBroken = false;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(options: {
    source: Socket;
    sink: Socket;
    delayMs: () => number;
    onBytes: (bytes: Uint8Array) => void;
  }) {
    this.source = options.source;
    this.#sink = options.sink;
    this.#delayMs = options.delayMs;
    this.#onBytes = options.onBytes;
    this.source.on("data", (bytes) => this.#push(bytes));
    this.source.on("end", () => this.#push(undefined));
    this.#sink.on("drain", () => this.#resume());
  }

  freeze(): void {
    this.#isFrozen = true;
    // What comes meanwhile waits in the kernel, as it would before a router that hands nothing on.
    this.source.pause();
  }

  heal(): void {
    this.#isFrozen = false;
    this.#resume();
    this.#flush();
    this.sourceClosed();
  }

  /** The source was reset. It closes next. */
  sourceBroke(): void {
    this.#isSourceBroken = true;
  }

  /**
   * The source is no more, and unless nothing is to be heard so is the sink: at once where the source broke, which the
   * other side must learn as soon as if it had been dialled directly; else once it has what was on the way.
   */
  sourceClosed(): void {
    if (!this.source.destroyed) return;
    this.#isSourceGone = true;
    if (this.#isFrozen) return;
    if (this.#isSourceBroken) this.#sink.resetAndDestroy();
    else if (this.#queue.length === 0) this.#sink.destroySoon();
  }

  #push(bytes: Uint8Array | undefined): void {
    const earliestMs = this.#queue.at(-1)?.atMs ?? 0;
    this.#queue.push({ bytes, atMs: Math.max(earliestMs, Date.now() + this.#delayMs()) });
    this.#flush();
  }

  #resume(): void {
    if (!this.#isFrozen && !this.#sink.writableNeedDrain) this.source.resume();
  }

  #flush(): void {
    clearTimeout(this.#timer);
    if (this.#isFrozen) return;
    for (let next = this.#queue[0]; next !== undefined; next = this.#queue[0]) {
      const waitMs = next.atMs - Date.now();
      if (waitMs > 0) {
        this.#timer = setTimeout(() => this.#flush(), waitMs);
        return;
      }
      this.#queue.shift();
      if (this.#sink.destroyed) continue;
      if (next.bytes === undefined) this.#sink.end();
      else {
        this.#onBytes(next.bytes);
        if (!this.#sink.write(next.bytes)) this.source.pause();
      }
    }
    if (this.#isSourceGone) this.#sink.destroySoon();
  }
}
