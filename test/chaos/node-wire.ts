import type { AttemptId, TaskId } from "../../core/ids.ts";
import { type CommitFrame, type DeltaItem, type NodeFrame, nodeFrameSchema } from "../../core/wire/node-frame.ts";
import { parseFrames } from "../../core/wire/parse-frames.ts";
import { type RouterFrame, routerFrameSchema } from "../../core/wire/router-frame.ts";
import type { Direction } from "./tcp-proxy.ts";
import { WebSocketMessages } from "./web-socket-messages.ts";

/** One attempt as it passed over a node's wire, whichever of its sockets carried it. */
export interface WireAttempt {
  taskId: TaskId;
  attemptId: AttemptId;
  /** When the node was handed it, milliseconds since the epoch. */
  handedAtMs: number;
  /** Token ids of the answer that the node was told others had made. */
  continues: readonly number[];
  ackedAtMs: number | undefined;
  /** Pieces that went towards the router, in order, each once. */
  pieces: DeltaItem[];
  /** How often a piece went again that had gone before. */
  repeats: number;
  commit: CommitFrame | undefined;
  hasFailed: boolean;
  cancelledAtMs: number | undefined;
}

/** Token ids that the node sent of an attempt, in order. */
export function idsOf(attempt: WireAttempt): number[] {
  return attempt.pieces.flatMap((piece) => piece.tokenIds ?? []);
}

/**
 * A witness between node and router: what really passed, independent of what either says of itself. A killed node has
 * no log of its last moments; this has. `problems` is what must never pass: a frame that the wire does not know, a piece
 * that differs from one of the same number, a piece out of order.
 */
export class NodeWire {
  readonly attempts = new Map<AttemptId, WireAttempt>();
  readonly problems: string[] = [];
  /** True from a grant of credits on to the end of the socket that carried it, or to the next socket. */
  isServing = false;
  /** Messages of each connection and direction. */
  readonly #readers = new Map<string, WebSocketMessages>();
  #latestConnection = 0;

  /** Bytes that are handed on now. */
  pass({ connection, direction, bytes }: { connection: number; direction: Direction; bytes: Uint8Array }): void {
    if (connection > this.#latestConnection) {
      this.#latestConnection = connection;
      this.isServing = false;
    }
    const key = `${connection} ${direction}`;
    const reader = this.#readers.get(key) ?? new WebSocketMessages();
    this.#readers.set(key, reader);
    const schema = direction === "toTarget" ? nodeFrameSchema : routerFrameSchema;
    for (const message of reader.push(bytes)) {
      const parsed = parseFrames<typeof nodeFrameSchema | typeof routerFrameSchema>(schema, message);
      if (!parsed.ok) this.problems.push(`${key}: ${parsed.problem}: ${message.slice(0, 200)}`);
      else for (const frame of parsed.frames) this.#note(frame);
    }
  }

  /** The connection is no more. */
  closed(connection: number): void {
    if (connection === this.#latestConnection) this.isServing = false;
    this.#readers.delete(`${connection} toTarget`);
    this.#readers.delete(`${connection} fromTarget`);
  }

  /** Attempts of this task, in the order in which the node was handed them. */
  attemptsOf(taskId: TaskId): WireAttempt[] {
    return [...this.attempts.values()].filter((attempt) => attempt.taskId === taskId);
  }

  /** Attempts whose end has not passed. */
  get running(): WireAttempt[] {
    return [...this.attempts.values()].filter((attempt) => attempt.commit === undefined && !attempt.hasFailed);
  }

  #note(frame: NodeFrame | RouterFrame): void {
    switch (frame.type) {
      case "task":
        // The same attempt handed over twice is one attempt.
        if (this.attempts.has(frame.attemptId)) return;
        this.attempts.set(frame.attemptId, {
          taskId: frame.taskId,
          attemptId: frame.attemptId,
          handedAtMs: Date.now(),
          continues: "continues" in frame ? (frame.continues ?? []) : [],
          ackedAtMs: undefined,
          pieces: [],
          repeats: 0,
          commit: undefined,
          hasFailed: false,
          cancelledAtMs: undefined,
        });
        return;
      case "pull":
        this.isServing = true;
        return;
      case "ack":
        this.#change(frame.attemptId, (attempt) => {
          attempt.ackedAtMs ??= Date.now();
        });
        return;
      case "delta":
        for (const item of frame.items) this.#piece(item);
        return;
      case "commit":
        this.#change(frame.attemptId, (attempt) => {
          attempt.commit ??= frame;
        });
        return;
      case "fail":
        this.#change(frame.attemptId, (attempt) => {
          attempt.hasFailed = true;
        });
        return;
      case "cancel":
        this.#change(frame.attemptId, (attempt) => {
          attempt.cancelledAtMs ??= Date.now();
        });
        return;
      default:
        return;
    }
  }

  #piece(item: DeltaItem): void {
    this.#change(item.attemptId, (attempt) => {
      const known = attempt.pieces[item.seq];
      if (known !== undefined) {
        attempt.repeats += 1;
        if (JSON.stringify(known) !== JSON.stringify(item)) {
          this.problems.push(`piece ${item.seq} of ${item.attemptId} went again with another content`);
        }
      } else if (item.seq === attempt.pieces.length) attempt.pieces.push(item);
      else this.problems.push(`piece ${item.seq} of ${item.attemptId} went after ${attempt.pieces.length} pieces`);
    });
  }

  #change(attemptId: AttemptId, change: (attempt: WireAttempt) => void): void {
    const attempt = this.attempts.get(attemptId);
    // A cancel may name an attempt that never reached the node.
    if (attempt !== undefined) change(attempt);
  }
}
