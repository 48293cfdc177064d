/** Protocol versions this code speaks, newest first. A hello names one of those that the challenge offered. */
export const protocolVersions = [4] as const;

/** Path of the socket; a node adds `?node=<its id>`. */
export const connectPath = "/v1/nodes/connect";

/** Close codes of the socket: 4000 to 4999 are the application's own (RFC 6455 §7.4.2). */
export const closeCodes = {
  /** The node is done: it drained. */
  finished: 1000,
  /** The router said no in a `reject` frame just before; the node tells its operator and does not dial again. */
  rejected: 4001,
  /** Another socket of the same node took over. */
  superseded: 4002,
  /** The other side broke the protocol. */
  badFrame: 4003,
  /** No frame for too long. */
  idle: 4004,
  /** The router's object was reset; dial again at once. */
  restart: 1012,
} as const;

/** The one spelling of a heartbeat, in both directions. */
export const heartbeatText = '{"type":"heartbeat"}';
