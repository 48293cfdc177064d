import { z } from "zod";
import { nodeIdSchema } from "../../core/ids.ts";
import type { RouterFrame } from "../../core/wire/router-frame.ts";

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

/** A socket whose node was taken in, with its state as of now. */
export interface OpenSocket {
  socket: WebSocket;
  state: OpenState;
}

/** How far a socket has come. */
export function stateOf(socket: WebSocket): SocketState {
  return socketStateSchema.parse(socket.deserializeAttachment());
}

/** Keeps how far a socket has come, also while the object sleeps. */
export function setState(socket: WebSocket, state: SocketState): void {
  socket.serializeAttachment(state);
}

/** The first of these sockets that is open; a node has at most one. */
export function findOpen(sockets: readonly WebSocket[]): OpenSocket | undefined {
  for (const socket of sockets) {
    const state = stateOf(socket);
    if (state.phase === "open") return { socket, state };
  }
  return undefined;
}

/** Sends where the socket still takes it: one that is closing tells so through its own event. */
export function send(socket: WebSocket, frame: RouterFrame): void {
  if (socket.readyState === WebSocket.OPEN) socket.send(JSON.stringify(frame));
}

/** Closes where that is still to be done. */
export function close(socket: WebSocket, code: number, reason: string): void {
  if (socket.readyState === WebSocket.OPEN) socket.close(code, reason);
}
