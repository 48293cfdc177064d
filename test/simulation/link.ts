import type { z } from "zod";
import { limits } from "../../core/limits.ts";
import { type NodeFrame, nodeFrameSchema } from "../../core/wire/node-frame.ts";
import { parseFrames } from "../../core/wire/parse-frames.ts";
import { type RouterFrame, routerFrameSchema } from "../../core/wire/router-frame.ts";
import { type Ground, Violation } from "./ground.ts";
import { Line } from "./network.ts";

/** One side's ears: messages in order, then at most one end. */
export interface LinkEnd<Frame> {
  message(frames: readonly Frame[]): void;
  closed(code: number): void;
}

type Item<Frame> = { frames: readonly Frame[] } | { code: number };

/**
 * A node's socket: two lines, one each way. It ends by a close frame, which arrives after what was sent before it, or
 * by a break, which loses what is on its way. While it is blocked neither side notices anything.
 */
export class Link {
  readonly openedAtMs: number;
  /** How often the node sends a heartbeat now. */
  heartbeatEveryMs: number = limits.heartbeatMs;
  readonly #ground: Ground;
  readonly #name: string;
  readonly #isStrict: boolean;
  readonly #toNode: Line<Item<RouterFrame>>;
  readonly #toRouter: Line<Item<NodeFrame>>;
  #node: LinkEnd<RouterFrame> | undefined;
  #router: LinkEnd<NodeFrame> | undefined;
  #isBlocked = false;
  #isBroken = false;
  /** Since when nothing of the node's has arrived; null while its heartbeats do. */
  #silentSinceMs: number | null = null;
  readonly #latencyMs: number;

  /** `isStrict`: every message is written and parsed as it would be on a real socket. */
  constructor(
    ground: Ground,
    {
      name,
      latencyMs,
      isStrict,
      node,
      router,
    }: { name: string; latencyMs: number; isStrict: boolean; node: LinkEnd<RouterFrame>; router: LinkEnd<NodeFrame> },
  ) {
    this.#ground = ground;
    this.#name = name;
    this.#isStrict = isStrict;
    this.#latencyMs = latencyMs;
    this.openedAtMs = ground.loop.nowMs;
    this.#node = node;
    this.#router = router;
    const delayMs = () => latencyMs + ground.dice.whole(0, 3);
    this.#toNode = new Line(ground, { delayMs, arrive: (item) => this.#arriveAtNode(item) });
    this.#toRouter = new Line(ground, { delayMs, arrive: (item) => this.#arriveAtRouter(item) });
  }

  get isBlocked(): boolean {
    return this.#isBlocked;
  }

  /** True while the router's side may still send. */
  get isOpenAtRouter(): boolean {
    return this.#router !== undefined;
  }

  get isOpenAtNode(): boolean {
    return this.#node !== undefined;
  }

  sendToNode(frames: readonly RouterFrame[]): void {
    if (this.#router === undefined || frames.length === 0) return;
    this.#ground.tally.add("messages to nodes");
    this.#ground.note(() => `→ ${this.#name} ${shown(frames)}`);
    this.#toNode.send({ frames: this.#isStrict ? reparsed(routerFrameSchema, frames) : frames });
  }

  sendToRouter(frames: readonly NodeFrame[]): void {
    if (this.#node === undefined || frames.length === 0) return;
    this.#ground.tally.add("messages from nodes");
    this.#ground.note(() => `← ${this.#name} ${shown(frames)}`);
    this.#toRouter.send({ frames: this.#isStrict ? reparsed(nodeFrameSchema, frames) : frames });
  }

  /** The node closes: it hears nothing more, and the router hears the end in its turn. */
  closeByNode(code: number): void {
    this.#node = undefined;
    this.#toNode.cut();
    this.#toRouter.send({ code });
  }

  /** The router closes, as above. */
  closeByRouter(code: number): void {
    this.#router = undefined;
    this.#toRouter.cut();
    this.#toNode.send({ code });
  }

  /** The connection breaks: what is on its way is lost, and each side hears of it unless the link is blocked. */
  break(): void {
    this.#isBroken = true;
    this.#toNode.cut();
    this.#toRouter.cut();
    if (!this.#isBlocked) this.#tellBreak();
  }

  /** The router's side is gone with its object's memory: it hears nothing, the node a break. */
  dropByRouter(): void {
    this.#router = undefined;
    this.break();
  }

  /** The node's process is gone: its system breaks the connection. */
  dropByNode(): void {
    this.#node = undefined;
    this.break();
  }

  /** Nothing passes either way, and nobody is told. */
  block(): void {
    this.#isBlocked = true;
    this.#toNode.block();
    this.#toRouter.block();
    this.fallSilent();
  }

  /** All passes again. */
  unblock(): void {
    if (!this.#isBlocked) return;
    this.#isBlocked = false;
    this.#silentSinceMs = null;
    this.#toNode.unblock();
    this.#toRouter.unblock();
    if (this.#isBroken) this.#tellBreak();
  }

  /** The node sends no heartbeats from now on, because it is stopped or its way is. */
  fallSilent(): void {
    this.#silentSinceMs ??= this.#ground.loop.nowMs;
  }

  /** The node sends heartbeats again. */
  speakAgain(): void {
    if (!this.#isBlocked) this.#silentSinceMs = null;
  }

  /**
   * When the router last had a sign of the node: heartbeats are not events of their own, since an idle network would
   * consist of little else.
   */
  signAtMs(): number {
    const untilMs = this.#silentSinceMs ?? this.#ground.loop.nowMs - this.#latencyMs;
    return Math.max(this.openedAtMs, untilMs - ((untilMs - this.openedAtMs) % this.heartbeatEveryMs));
  }

  #tellBreak(): void {
    this.#ground.loop.after(this.#ground.dice.whole(1, 20), () => {
      const [node, router] = [this.#node, this.#router];
      this.#node = undefined;
      this.#router = undefined;
      node?.closed(1006);
      router?.closed(1006);
    });
  }

  #arriveAtNode(item: Item<RouterFrame>): void {
    const node = this.#node;
    if ("frames" in item) node?.message(item.frames);
    else {
      this.#node = undefined;
      node?.closed(item.code);
    }
  }

  #arriveAtRouter(item: Item<NodeFrame>): void {
    const router = this.#router;
    if ("frames" in item) router?.message(item.frames);
    else {
      this.#router = undefined;
      router?.closed(item.code);
    }
  }
}

/** The frames as they come out of the text they are sent as. */
function reparsed<Schema extends z.ZodType>(
  schema: Schema,
  frames: readonly z.output<Schema>[],
): readonly z.output<Schema>[] {
  const parsed = parseFrames(schema, JSON.stringify(frames.length === 1 ? frames[0] : frames));
  if (!parsed.ok) throw new Violation("every frame is one of the wire's", parsed.problem);
  return parsed.frames;
}

/** Frames as a line for people: tasks without their prompts, pieces by their numbers. */
function shown(frames: readonly (RouterFrame | NodeFrame)[]): string {
  return frames
    .map((frame) => {
      if (frame.type === "task") return `task ${frame.attemptId} after ${frame.continues?.length ?? 0}`;
      if (frame.type !== "delta") return JSON.stringify(frame);
      return `delta ${frame.items.map(({ attemptId, seq }) => `${attemptId}#${seq}`).join(" ")}`;
    })
    .join(" ");
}
