import { z } from "zod";
import { toBase64Url } from "../../core/identity/node-key.ts";
import { nodeIdSchema } from "../../core/ids.ts";
import { closeCodes, protocolVersions } from "../../core/wire/protocol.ts";
import type { RouterFrame } from "../../core/wire/router-frame.ts";
import type { CreditTotals } from "./credits.ts";

/** What a node's socket carries through hibernation; at most 2,048 bytes, the platform's bound. */
const socketStateSchema = z.discriminatedUnion("phase", [
  z.object({ phase: z.literal("challenged"), nodeId: nodeIdSchema, nonce: z.string(), host: z.string() }),
  z.object({ phase: z.literal("checking") }),
  z.object({
    phase: z.literal("open"),
    epoch: z.int(),
    heardAtMs: z.number(),
    isDraining: z.boolean(),
    credits: z.array(z.tuple([z.int(), z.int()])),
  }),
  z.object({ phase: z.literal("closed") }),
]);
export type SocketState = z.infer<typeof socketStateSchema>;
export type ChallengedState = Extract<SocketState, { phase: "challenged" }>;
export type OpenState = Extract<SocketState, { phase: "open" }>;

/** How far a socket has come. */
export function stateOf(socket: WebSocket): SocketState {
  return socketStateSchema.parse(socket.deserializeAttachment());
}

/** Keeps how far a socket has come, also while the object sleeps. */
export function setState(socket: WebSocket, state: SocketState): void {
  socket.serializeAttachment(state);
}

/** Sends where the socket still takes it: one that is closing tells so through its own event. */
export function send(socket: WebSocket, frame: RouterFrame): void {
  if (socket.readyState === WebSocket.OPEN) socket.send(JSON.stringify(frame));
}

/** Closes where that is still to be done. */
export function close(socket: WebSocket, code: number, reason: string): void {
  if (socket.readyState === WebSocket.OPEN) socket.close(code, reason);
}

/** A fresh socket, hibernating, of the node that the request's URL names, with a challenge on its way to it. */
export function challengeSocket(request: Request, ctx: DurableObjectState): { client: WebSocket; server: WebSocket } {
  const url = new URL(request.url);
  const nodeId = nodeIdSchema.parse(url.searchParams.get("node"));
  const nonce = toBase64Url(crypto.getRandomValues(new Uint8Array(32)));
  const { 0: client, 1: server } = new WebSocketPair();
  ctx.acceptWebSocket(server);
  setState(server, { phase: "challenged", nodeId, nonce, host: request.headers.get("host") ?? url.host });
  send(server, { type: "challenge", protocols: [...protocolVersions], nonce });
  return { client, server };
}

/** Another socket of this node is here: of the same process, whose old one broke unseen, or of another one. */
export function supersede(older: OpenSocket, { isResumed }: { isResumed: boolean }): void {
  if (!isResumed) {
    const message = "Another process opened a socket with this node's key.";
    older.send([{ type: "reject", code: "superseded", message }]);
  }
  setState(older.socket, { phase: "closed" });
  close(older.socket, closeCodes.superseded, "superseded");
}

/** Credit totals reach the attachment this long after they changed: well before an idle object may sleep. */
const settleMs = 1_000;

/**
 * The socket of a node that was taken in. Its state is held here and written to the socket's attachment where it must
 * outlive the object's memory: reading and writing that for each frame would cost more than the frame.
 */
export class OpenSocket {
  readonly socket: WebSocket;
  state: OpenState;
  heardAtMs: number;
  /** Where the credits' totals are asked for before the object sleeps. */
  totals: (() => CreditTotals) | undefined;
  readonly #ctx: DurableObjectState;
  #settle: ReturnType<typeof setTimeout> | undefined;

  constructor(socket: WebSocket, state: OpenState, ctx: DurableObjectState) {
    this.socket = socket;
    this.state = state;
    this.heardAtMs = state.heardAtMs;
    this.#ctx = ctx;
  }

  /** When the node last gave any sign, heartbeats that the platform answered included; milliseconds since the epoch. */
  signAtMs(): number {
    const answeredAtMs = this.#ctx.getWebSocketAutoResponseTimestamp(this.socket)?.getTime() ?? 0;
    return Math.max(this.heardAtMs, answeredAtMs);
  }

  /** Sends frames as one message. */
  send(frames: readonly RouterFrame[]): void {
    const [first] = frames;
    if (first === undefined || this.socket.readyState !== WebSocket.OPEN) return;
    this.socket.send(JSON.stringify(frames.length === 1 ? first : frames));
  }

  setDraining(isDraining: boolean): void {
    this.state = { ...this.state, isDraining };
    this.#keep();
  }

  /** The credits have changed: they are written down soon. */
  noteCredits(): void {
    this.#settle ??= setTimeout(() => this.#keep(), settleMs);
  }

  #keep(): void {
    clearTimeout(this.#settle ?? null);
    this.#settle = undefined;
    const credits = this.totals?.() ?? this.state.credits;
    this.state = { ...this.state, heardAtMs: this.heardAtMs, credits };
    if (stateOf(this.socket).phase === "open") setState(this.socket, this.state);
  }
}
