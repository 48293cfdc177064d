/**
 * Mistakes that a run can be given on purpose. Each is one that a shell around the pure core could really make; the
 * tests show that the checkers find every one of them within a hundred seeds.
 */
export const bugs = [
  /** The node's object loses some acks that came over the socket. */
  "ackDropped",
  /** The pool forgets a claim it has just given, and gives the room again. */
  "claimDoubled",
  /** The pool forgets whom a ticket excludes and avoids. */
  "excludeForgotten",
  /** A ticket whose caller left stays in the pool and is found a node. */
  "withdrawForgotten",
  /** The node's object takes tasks past the credits that its node gave. */
  "creditsIgnored",
  /** The node's object does not tell its node to stop. */
  "cancelForgotten",
  /** The node's object forgets the row of an open lease at a reset. */
  "heldRowForgotten",
  /** A clock that is set back puts off the writing of a record. */
  "writePutOff",
  /** The outbox forgets a batch before Postgres has said yes. */
  "batchForgotten",
  /** The outbox does not try again after Postgres was away. */
  "retryForgotten",
  /** The Worker delivers a piece that it was told twice. */
  "pieceDelivered",
  /** The Worker hands on too few of the token ids that its caller has. */
  "continuationShort",
  /** The node's process does not keep what it makes while it has no socket. */
  "pieceUnkept",
  /** The node goes on with attempts that its router no longer names. */
  "orphanKept",
] as const;
export type Bug = (typeof bugs)[number];
