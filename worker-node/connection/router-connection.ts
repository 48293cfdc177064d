import WebSocket from "ws";
import { type NodeKeyPair, nodeIdOf, signHello } from "../../core/identity/node-key.ts";
import type { NodeId } from "../../core/ids.ts";
import { limits } from "../../core/limits.ts";
import type { RefusalCode } from "../../core/refusal.ts";
import type { HelloFrame, NodeFrame } from "../../core/wire/node-frame.ts";
import { parseFrame } from "../../core/wire/parse-frame.ts";
import { connectPath, heartbeatText, protocolVersions } from "../../core/wire/protocol.ts";
import { type RouterFrame, routerFrameSchema } from "../../core/wire/router-frame.ts";
import { backoffMs } from "./backoff.ts";

/** What a hello tells besides who signs it. */
export type HelloDetails = Pick<HelloFrame, "name" | "software" | "engine" | "hardware" | "models"> & {
  invite?: string | undefined;
};

/** What happens on the connection, told in order. */
export interface ConnectionEvents {
  /** The router took the node in; `epoch` is new, and nothing of an older socket counts any more. */
  onWelcome(welcome: Extract<RouterFrame, { type: "welcome" }>): void;
  onFrame(frame: Extract<RouterFrame, { type: "task" | "cancel" | "drain" }>): void;
  /** The socket is gone and another is dialled after `retryMs`; what ran for it is lost. */
  onLost(loss: { reason: string; retryMs: number }): void;
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

/** The node's one socket to its router: dials out, signs in, keeps it alive, and dials again when it is lost. */
export class RouterConnection {
  readonly #routerUrl: URL;
  readonly #key: NodeKeyPair;
  readonly #details: HelloDetails;
  readonly #events: ConnectionEvents;
  #socket: WebSocket | undefined;
  #isOpen = false;
  #isClosing = false;
  #failures = 0;
  /** Ends the wait before the next dial. */
  #stopWaiting: () => void = () => {};

  constructor(options: { routerUrl: URL; key: NodeKeyPair; details: HelloDetails; events: ConnectionEvents }) {
    this.#routerUrl = options.routerUrl;
    this.#key = options.key;
    this.#details = options.details;
    this.#events = options.events;
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
      const retryMs = backoffMs(this.#failures, Math.random);
      this.#failures += 1;
      this.#events.onLost({ reason: end.refusal?.message ?? end.reason, retryMs });
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, retryMs);
        this.#stopWaiting = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
  }

  /** Sends a frame; one that finds no open socket is dropped, since what it speaks of is lost with the socket. */
  send(frame: NodeFrame): void {
    if (this.#isOpen) this.#socket?.send(JSON.stringify(frame));
  }

  /** Closes for good: {@link run} resolves. */
  close(): void {
    this.#isClosing = true;
    this.#stopWaiting();
    this.#socket?.close(1000, "finished");
  }

  /** One socket from dial to end. */
  #session(nodeId: NodeId): Promise<SessionEnd> {
    return new Promise((resolve) => {
      const socket = new WebSocket(socketUrl(this.#routerUrl, nodeId), {
        maxPayload: limits.frameBytes,
        handshakeTimeout: 10_000,
        perMessageDeflate: false,
      });
      this.#socket = socket;
      let refusal: SessionEnd["refusal"];
      let problem = "";
      let wasWelcomed = false;
      let heartbeat: ReturnType<typeof setInterval> | undefined;
      let isAnswered = true;
      // A router that takes the socket and then says nothing is as good as none.
      const patience = setTimeout(() => {
        problem = "the router did not welcome this node in time";
        socket.terminate();
      }, limits.helloMs);
      const beat = () => {
        if (!isAnswered) {
          problem = "the router stopped answering heartbeats";
          socket.terminate();
          return;
        }
        isAnswered = false;
        socket.send(heartbeatText);
      };
      socket.on("error", (error) => {
        // What comes after a problem of ours, as ending a socket that still dials, only follows from it.
        problem ||= error.message;
      });
      socket.on("close", (code, reason) => {
        clearTimeout(patience);
        clearInterval(heartbeat);
        this.#isOpen = false;
        resolve({ refusal, reason: problem || reason.toString() || `the socket closed with ${code}`, wasWelcomed });
      });
      socket.on("message", (data, isBinary) => {
        const parsed = parseFrame(routerFrameSchema, isBinary ? new ArrayBuffer(0) : data.toString());
        if (!parsed.ok) {
          problem = `the router sent a frame this node does not know: ${parsed.problem}`;
          socket.terminate();
          return;
        }
        const { frame } = parsed;
        switch (frame.type) {
          case "challenge":
            this.#hello(socket, nodeId, frame.nonce).catch((error: unknown) => {
              problem = `the hello could not be signed: ${String(error)}`;
              socket.terminate();
            });
            break;
          case "welcome":
            clearTimeout(patience);
            heartbeat = setInterval(beat, frame.heartbeatMs);
            this.#isOpen = true;
            wasWelcomed = true;
            this.#failures = 0;
            this.#events.onWelcome(frame);
            break;
          case "reject":
            refusal = { code: frame.code, message: frame.message };
            break;
          case "heartbeat":
            isAnswered = true;
            break;
          default:
            this.#events.onFrame(frame);
        }
      });
    });
  }

  async #hello(socket: WebSocket, nodeId: NodeId, nonce: string): Promise<void> {
    const { host } = this.#routerUrl;
    const { invite, ...details } = this.#details;
    const hello: HelloFrame = {
      type: "hello",
      protocol: protocolVersions[0],
      nodeId,
      publicKey: this.#key.publicKey,
      signature: await signHello({ nodeId, nonce, host }, this.#key.privateKey),
      host,
      ...(invite === undefined ? {} : { invite }),
      ...details,
    };
    socket.send(JSON.stringify(hello));
  }
}

interface SessionEnd {
  refusal: { code: RefusalCode; message: string } | undefined;
  reason: string;
  wasWelcomed: boolean;
}

/** A hello that the router cannot read is the same at the next dial: this software and the router's do not match. */
function isFinal(code: RefusalCode, { wasWelcomed }: SessionEnd): boolean {
  return finalCodes.has(code) || (code === "invalid_frame" && !wasWelcomed);
}

/** `https://host/base` as `wss://host/base/v1/nodes/connect?node=…`. */
function socketUrl(routerUrl: URL, nodeId: NodeId): URL {
  const url = new URL(routerUrl);
  url.protocol = routerUrl.protocol === "http:" ? "ws:" : "wss:";
  url.pathname = url.pathname.replace(/\/+$/, "") + connectPath;
  url.search = new URLSearchParams({ node: nodeId }).toString();
  return url;
}
