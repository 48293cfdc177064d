import WebSocket from "ws";
import { type NodeKeyPair, nodeIdOf, signHello } from "../../core/identity/node-key.ts";
import type { NodeId } from "../../core/ids.ts";
import { limits } from "../../core/limits.ts";
import type { RefusalCode } from "../../core/refusal.ts";
import type { HeldAttempt, HelloFrame, NodeFrame } from "../../core/wire/node-frame.ts";
import { parseFrames } from "../../core/wire/parse-frames.ts";
import { connectPath, heartbeatText, protocolVersions } from "../../core/wire/protocol.ts";
import { type RouterFrame, routerFrameSchema } from "../../core/wire/router-frame.ts";
import { backoffMs, suspensionWaitMs } from "./backoff.ts";
import { Heartbeat } from "./heartbeat.ts";
import { Outbound } from "./outbound.ts";

/** What a hello tells besides who signs it. */
export type HelloDetails = Pick<HelloFrame, "name" | "software" | "engine" | "hardware" | "models"> & {
  invite?: string | undefined;
};

export type WelcomeFrame = Extract<RouterFrame, { type: "welcome" }>;

/** What a router says to a node that it took in. */
export type WorkFrame = Exclude<RouterFrame, { type: "challenge" | "welcome" | "reject" | "heartbeat" }>;

/** A socket that ended, or was not had at all. */
export interface ConnectionLoss {
  reason: string;
  /** Another is dialled after this. */
  retryMs: number;
  /** False where the router never took the node in on it. */
  wasWelcomed: boolean;
}

/** What happens on the connection, told in order. */
export interface ConnectionEvents {
  /** The router took the node in; `leases` says what goes on of what {@link ConnectionWork.holding} named. */
  onWelcome(welcome: WelcomeFrame): void;
  onFrame(frame: WorkFrame): void;
  onLost(loss: ConnectionLoss): void;
}

/** What the connection asks of the work that it carries. */
export interface ConnectionWork {
  /** Attempts that outlived their socket, for the next hello. */
  holding(): HeldAttempt[];
  /** True while tasks run: the socket is watched closely then. */
  isBusy(): boolean;
}

/** The router's no, which dialling again would not change. */
export class ConnectionRefused extends Error {
  override readonly name = "ConnectionRefused";
  readonly code: RefusalCode;

  constructor(code: RefusalCode, message: string) {
    super(message);
    this.code = code;
  }
}

/** A no with one of these is final: only a person can mend it. */
const finalCodes: ReadonlySet<RefusalCode> = new Set([
  "invalid_invite",
  "invalid_signature",
  "unsupported_protocol",
  "superseded",
]);

/** A socket that lasted this long was no failure: the dial after its loss does not wait. */
const steadyMs = 1_000;

/**
 * The node's one socket to its router: dials out, signs in, keeps it alive, and dials again when it is lost, with the
 * token by which the router knows the process and what it holds.
 */
export class RouterConnection {
  readonly #routerUrl: URL;
  readonly #key: NodeKeyPair;
  readonly #details: HelloDetails;
  readonly #events: ConnectionEvents;
  readonly #work: ConnectionWork;
  readonly #outbound = new Outbound((message) => this.#socket?.send(message));
  #socket: WebSocket | undefined;
  /** There while the socket is welcome. */
  #heartbeat: Heartbeat | undefined;
  #resumeToken: string | undefined;
  #isClosing = false;
  /** Dials in a row that came to nothing. */
  #failures = 0;
  /** Ends the wait before the next dial. */
  #stopWaiting: () => void = () => {};

  constructor(options: {
    routerUrl: URL;
    key: NodeKeyPair;
    details: HelloDetails;
    events: ConnectionEvents;
    work: ConnectionWork;
  }) {
    this.#routerUrl = options.routerUrl;
    this.#key = options.key;
    this.#details = options.details;
    this.#events = options.events;
    this.#work = options.work;
  }

  /** Stays connected until {@link close}. Rejects with {@link ConnectionRefused} where the router's no is final. */
  async run(): Promise<void> {
    const nodeId = await nodeIdOf(this.#key.publicKey);
    while (!this.#isClosing) {
      const end = await this.#session(nodeId);
      if (end.refusal !== undefined && isFinal(end.refusal.code, end)) {
        throw new ConnectionRefused(end.refusal.code, end.refusal.message);
      }
      if (this.#isClosing) return;
      // A socket that ends as soon as it is welcome is a failure too, else such a router would be dialled without end.
      if (end.welcomeMs !== undefined) this.#failures = end.welcomeMs >= steadyMs ? 0 : 1;
      const isSuspended = end.refusal?.code === "suspended";
      const { random } = Math;
      const retryMs = isSuspended
        ? suspensionWaitMs(random)
        : backoffMs(this.#failures, { isBusy: this.#work.isBusy(), random });
      this.#failures += 1;
      const reason = end.refusal?.message ?? end.reason;
      this.#events.onLost({ reason, retryMs, wasWelcomed: end.welcomeMs !== undefined });
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, retryMs);
        this.#stopWaiting = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
  }

  /**
   * Sends a frame, together with the others of this turn. One that finds no socket that is welcome is dropped: what the
   * next one is to have of it, its hello says.
   */
  send(frame: NodeFrame): void {
    if (this.#heartbeat === undefined) return;
    this.#outbound.add(frame);
    this.#heartbeat.setBusy(this.#work.isBusy());
  }

  /** Closes for good, after what was sent: {@link run} resolves. */
  close(): void {
    this.#isClosing = true;
    this.#stopWaiting();
    if (this.#socket?.readyState === WebSocket.OPEN) this.#outbound.flush();
    this.#socket?.close(1000, "finished");
  }

  /** One socket from dial to end. */
  #session(nodeId: NodeId): Promise<SessionEnd> {
    return new Promise((resolve) => {
      const socket = new WebSocket(socketUrl(this.#routerUrl, nodeId), {
        maxPayload: limits.frameBytes,
        // A dial that hangs is given up soon where readers wait for this node.
        handshakeTimeout: this.#work.isBusy() ? 2_000 : 10_000,
        perMessageDeflate: false,
      });
      this.#socket = socket;
      let refusal: SessionEnd["refusal"];
      let problem = "";
      let welcomedAtMs: number | undefined;
      // A router that takes the socket and then says nothing is as good as none.
      const patience = setTimeout(() => {
        problem = "the router did not welcome this node in time";
        socket.terminate();
      }, limits.helloMs);
      socket.on("error", (error) => {
        // What comes after a problem of ours, as ending a socket that still dials, only follows from it.
        problem ||= error.message;
      });
      socket.on("close", (code, reason) => {
        clearTimeout(patience);
        this.#heartbeat?.stop();
        this.#heartbeat = undefined;
        this.#outbound.drop();
        const welcomeMs = welcomedAtMs === undefined ? undefined : performance.now() - welcomedAtMs;
        resolve({ refusal, reason: problem || reason.toString() || `the socket closed with ${code}`, welcomeMs });
      });
      const take = (frame: RouterFrame) => {
        switch (frame.type) {
          case "challenge":
            this.#hello(socket, nodeId, frame.nonce).catch((error: unknown) => {
              problem = `the hello could not be signed: ${String(error)}`;
              socket.terminate();
            });
            break;
          case "welcome":
            clearTimeout(patience);
            welcomedAtMs = performance.now();
            this.#resumeToken = frame.resumeToken;
            this.#heartbeat?.stop();
            this.#heartbeat = new Heartbeat({
              heartbeatMs: frame.heartbeatMs,
              busyHeartbeatMs: frame.busyHeartbeatMs,
              send: () => socket.send(heartbeatText),
              onSilent: () => {
                problem = "the router stopped answering";
                socket.terminate();
              },
            });
            this.#events.onWelcome(frame);
            break;
          case "reject":
            refusal = { code: frame.code, message: frame.message };
            break;
          case "heartbeat":
            break;
          default:
            this.#events.onFrame(frame);
        }
      };
      socket.on("message", (data, isBinary) => {
        const parsed = parseFrames(routerFrameSchema, isBinary ? new ArrayBuffer(0) : data.toString());
        if (!parsed.ok) {
          problem = `the router sent a frame this node does not know: ${parsed.problem}`;
          socket.terminate();
          return;
        }
        this.#heartbeat?.heard();
        for (const frame of parsed.frames) take(frame);
        this.#heartbeat?.setBusy(this.#work.isBusy());
      });
    });
  }

  async #hello(socket: WebSocket, nodeId: NodeId, nonce: string): Promise<void> {
    const { host } = this.#routerUrl;
    const { invite, ...details } = this.#details;
    const signature = await signHello({ nodeId, nonce, host }, this.#key.privateKey);
    const token = this.#resumeToken;
    const hello: HelloFrame = {
      type: "hello",
      protocol: protocolVersions[0],
      nodeId,
      publicKey: this.#key.publicKey,
      signature,
      host,
      ...(invite === undefined ? {} : { invite }),
      ...details,
      ...(token === undefined ? {} : { resume: { token, holding: this.#work.holding() } }),
    };
    socket.send(JSON.stringify(hello));
  }
}

interface SessionEnd {
  refusal: { code: RefusalCode; message: string } | undefined;
  reason: string;
  /** How long the socket was welcome; undefined where it never was. */
  welcomeMs: number | undefined;
}

/** A hello that the router cannot read is the same at the next dial: this software and the router's do not match. */
function isFinal(code: RefusalCode, { welcomeMs }: SessionEnd): boolean {
  return finalCodes.has(code) || (code === "invalid_frame" && welcomeMs === undefined);
}

/** `https://host/base` as `wss://host/base/v1/nodes/connect?node=…`. */
function socketUrl(routerUrl: URL, nodeId: NodeId): URL {
  const url = new URL(routerUrl);
  url.protocol = routerUrl.protocol === "http:" ? "ws:" : "wss:";
  url.pathname = url.pathname.replace(/\/+$/, "") + connectPath;
  url.search = new URLSearchParams({ node: nodeId }).toString();
  return url;
}
