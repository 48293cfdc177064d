import type { AttemptId } from "../../core/ids.ts";
import type { LeaseBook } from "../../core/lease/lease-book.ts";
import type { ReaderWish } from "../../core/lease/lease-effect.ts";
import { limits } from "../../core/limits.ts";
import { type Flaps, noteLoss, steady } from "../../core/node/flaps.ts";
import type { NodeFrame } from "../../core/wire/node-frame.ts";
import type { RouterFrame } from "../../core/wire/router-frame.ts";
import { Credits, type CreditTotals } from "../../edge/objects/credits.ts";
import { holds } from "./ground.ts";
import { type AttachReply, LeasesShell, type RunReply, type RunWish } from "./leases-shell.ts";
import type { Link } from "./link.ts";
import type { Resume } from "./node-process.ts";
import type { Instance, ObjectHost } from "./object-host.ts";
import { type NodeCard, OffersShell, type PoolsOfNode } from "./offers-shell.ts";
import { emptyOutbox, OutboxShell, type OutboxStorage } from "./outbox-shell.ts";
import type { Postgres } from "./postgres.ts";

/** A node's object in storage; and its socket's attachment, which outlives its memory as long as the socket does. */
export interface NodeStorage {
  node: { epoch: number; resumeToken: string; flaps: Flaps } | undefined;
  readonly outbox: OutboxStorage;
  socket: { link: Link; isDraining: boolean; credits: CreditTotals } | undefined;
  /** A socket whose hello is being checked. */
  checking: Link | undefined;
}

export const emptyNodeStorage = (): NodeStorage => ({
  node: undefined,
  outbox: emptyOutbox(),
  socket: undefined,
  checking: undefined,
});

const checkEveryMs = 30_000;

/** A node's object as `edge/objects/node-object.ts` has it: one socket, its credits, its leases, its word to the pools. */
export class NodeShell implements Instance {
  readonly #host: ObjectHost<NodeShell>;
  readonly #card: NodeCard;
  readonly #storage: NodeStorage;
  readonly #outbox: OutboxShell;
  readonly #offers: OffersShell;
  #leases: LeasesShell | undefined;
  #credits: Credits | undefined;
  #toldPoolsAtMs = 0;
  #heardAtMs = 0;
  #isFlushDue = false;

  constructor(
    host: ObjectHost<NodeShell>,
    options: { card: NodeCard; storage: NodeStorage; postgres: Postgres; pools: PoolsOfNode },
  ) {
    this.#host = host;
    this.#card = options.card;
    this.#storage = options.storage;
    this.#outbox = new OutboxShell(options.storage.outbox, { postgres: options.postgres, ground: host.ground });
    this.#offers = new OffersShell(host, {
      pools: options.pools,
      card: options.card,
      offering: () => this.#offering(),
    });
  }

  /** The leases, for checkers. */
  get book(): LeaseBook | undefined {
    return this.#leases?.book;
  }

  /** Tasks that it would take now. */
  get free(): number {
    return this.#storage.socket === undefined ? 0 : this.#creditsOf().free(this.#card.model);
  }

  /** True where nothing would be lost by a sleep: the platform lets an object sleep only then. */
  get isIdle(): boolean {
    const isResting = !this.#host.isAtWork && !this.#outbox.isFlushing && !this.#isFlushDue && this.#offers.isQuiet;
    return isResting && this.#leases?.isWaiting !== true;
  }

  /** The node's process has said hello on a fresh socket; what is checked of it takes a moment. */
  accept(link: Link, resume: Resume | undefined): void {
    this.#storage.checking = link;
    this.#host.after(this.#host.ground.dice.whole(1, 5), () => this.#welcome(link, resume));
  }

  /** A message of the node. What an older socket still brings is fenced: its node speaks by the newer one. */
  hear(link: Link, frames: readonly NodeFrame[]): void {
    if (this.#storage.socket?.link !== link) return;
    this.#heardAtMs = this.#host.nowMs;
    const leases = this.#book();
    if (leases === undefined) throw new Error("a node without leases has an open socket");
    leases.during(() => {
      for (const frame of frames) this.#take(link, leases, frame);
    });
  }

  /** A socket has ended, by a close frame or a break. */
  closed(link: Link, code: number): void {
    this.#gone(link, { reason: `the socket closed with ${code}`, isAnnounced: code === 1000 });
  }

  run(wish: RunWish, reply: (result: RunReply) => void): void {
    const leases = this.#book();
    if (this.#storage.socket === undefined || leases === undefined) {
      this.#offers.leave();
      reply({ kind: "offline" });
      return;
    }
    const { attemptId } = wish.terms;
    const { model } = this.#card;
    const credits = this.#creditsOf();
    const hasCredit = credits.take(model, attemptId) || this.#host.ground.bugs.has("creditsIgnored");
    if (this.#storage.socket.isDraining || !hasCredit) {
      this.#offers.tellWithin(0);
      reply({ kind: "full" });
      return;
    }
    this.#noteCredits();
    this.#offers.taken();
    leases.run(wish, reply);
  }

  attach(wish: ReaderWish & { isWhole: boolean }, reply: (result: AttachReply) => void): void {
    const leases = this.#book();
    if (leases === undefined) reply({ kind: "unknown" });
    else leases.attach(wish, reply);
  }

  cancel(attemptId: AttemptId): boolean {
    return this.#book()?.cancel(attemptId) ?? false;
  }

  /** A pool that was reset asks what room there is. */
  offerNow(): void {
    if (this.#offering() === undefined) this.#offers.leave();
    else this.#offers.tell();
  }

  alarm(done: () => void): void {
    this.#book();
    this.#outbox.flush(
      () => this.#host.nowMs,
      (retryAtMs) => {
        if (retryAtMs !== undefined) this.#host.ringBy(retryAtMs);
        const checkAtMs = this.#checkSocket();
        if (checkAtMs !== undefined) this.#host.ringBy(checkAtMs);
        done();
      },
    );
  }

  dropped(): void {
    this.#leases?.dropped();
    this.#outbox.dropped();
  }

  #welcome(link: Link, resume: Resume | undefined): void {
    this.#storage.checking = undefined;
    if (!link.isOpenAtRouter) return;
    const before = this.#storage.node;
    const isResumed = before !== undefined && resume?.token === before.resumeToken;
    const older = this.#storage.socket;
    if (older !== undefined) {
      this.#storage.socket = undefined;
      older.link.closeByRouter(4002);
    }
    const epoch = (before?.epoch ?? 0) + 1;
    const resumeToken = isResumed ? before.resumeToken : tokenOf(epoch);
    this.#storage.node = { epoch, resumeToken, flaps: before?.flaps ?? steady };
    this.#host.ground.tally.add("rows written");
    this.#storage.socket = { link, isDraining: false, credits: [] };
    this.#credits = undefined;
    this.#heardAtMs = this.#host.nowMs;
    const welcomed = this.#book()?.welcome(isResumed ? (resume?.holding ?? []) : []);
    const leases = welcomed?.leases ?? [];
    holds(leases.length <= limits.heldAttempts, "no queue grows past its bound", () => this.#host.name);
    this.#send([
      {
        type: "welcome",
        protocol: 2,
        nodeId: this.#card.nodeId,
        epoch,
        operator: "operator",
        heartbeatMs: limits.heartbeatMs,
        busyHeartbeatMs: limits.busyHeartbeatMs,
        resumeToken,
        leases,
      },
    ]);
    welcomed?.perform();
    this.#host.ringBy(this.#host.nowMs + checkEveryMs);
  }

  #take(link: Link, leases: LeasesShell, frame: NodeFrame): void {
    switch (frame.type) {
      case "pull":
        this.#creditsOf().grant(frame.model, frame.creditsTotal);
        this.#noteCredits();
        this.#offers.granted();
        break;
      case "ack":
      case "delta":
      case "commit":
      case "fail":
        leases.take(frame);
        break;
      case "status":
        if (this.#storage.socket !== undefined) this.#storage.socket.isDraining = frame.state === "draining";
        if (frame.state === "draining") this.#offers.leave();
        break;
      case "drained":
        this.#gone(link, { reason: "the node drained", isAnnounced: true });
        link.closeByRouter(1000);
        break;
      case "heartbeat":
      case "hello":
    }
  }

  #gone(link: Link, { reason, isAnnounced }: { reason: string; isAnnounced: boolean }): void {
    if (this.#storage.socket?.link !== link) return;
    this.#storage.socket = undefined;
    this.#book()?.socketLost(reason);
    if (isAnnounced) {
      this.#offers.leave();
      return;
    }
    const node = this.#storage.node;
    if (node !== undefined) node.flaps = noteLoss(node.flaps, this.#host.nowMs);
    this.#offers.away();
    this.#host.after(limits.awayMs, () => {
      if (this.#storage.socket === undefined) this.#offers.leave();
    });
  }

  #send(frames: readonly RouterFrame[]): void {
    this.#storage.socket?.link.sendToNode(frames);
  }

  /** When the node last gave a sign on its present socket, by this object's clock. */
  #signAtMs(): number {
    const link = this.#storage.socket?.link;
    return link === undefined ? 0 : Math.max(this.#heardAtMs, link.signAtMs() + this.#host.skewMs);
  }

  #creditsOf(): Credits {
    this.#credits ??= new Credits([this.#card.model], this.#storage.socket?.credits ?? []);
    return this.#credits;
  }

  #noteCredits(): void {
    if (this.#storage.socket !== undefined) this.#storage.socket.credits = this.#creditsOf().totals();
  }

  /** What this node works on; read from storage after a reset. */
  #book(): LeasesShell | undefined {
    if (this.#storage.node === undefined) return undefined;
    this.#leases ??= new LeasesShell({
      host: this.#host,
      nodeId: this.#card.nodeId,
      hasSocket: this.#storage.socket !== undefined,
      outbox: this.#outbox,
      owner: {
        send: (frames) => this.#send(frames),
        signAtMs: () => this.#signAtMs(),
        onSilent: () => {
          const link = this.#storage.socket?.link;
          if (link === undefined) return;
          this.#gone(link, { reason: "the node gave no sign", isAnnounced: false });
          link.closeByRouter(4004);
        },
        onFirstToken: (firstTokenMs) => this.#offers.noteFirstToken(firstTokenMs),
        onRecorded: (flushAtMs) => {
          this.#flushBy(flushAtMs);
          this.#host.ringBy(this.#host.nowMs + checkEveryMs);
        },
      },
    });
    return this.#leases;
  }

  /** Flushes by a timer: `edge/objects/flush-timer.ts`. The alarm comes behind it. */
  #flushBy(atMs: number): void {
    if (this.#isFlushDue) return;
    this.#isFlushDue = true;
    this.#host.after(Math.max(0, atMs - this.#host.nowMs), () => {
      this.#isFlushDue = false;
      this.#outbox.flush(
        () => this.#host.nowMs,
        (againAtMs) => {
          if (againAtMs !== undefined) this.#flushBy(againAtMs);
        },
      );
    });
  }

  #offering(): ReturnType<ConstructorParameters<typeof OffersShell>[1]["offering"]> {
    const { node, socket } = this.#storage;
    if (node === undefined || socket === undefined || socket.isDraining) return undefined;
    return { credits: this.#creditsOf(), asideUntilMs: node.flaps.asideUntilMs };
  }

  /** Ends a socket that nothing was heard of for too long, and keeps the pools' view of a living one fresh. */
  #checkSocket(): number | undefined {
    const { nowMs } = this.#host;
    const link = this.#storage.socket?.link;
    if (link === undefined) return (this.book?.size ?? 0) > 0 ? nowMs + checkEveryMs : undefined;
    if (nowMs - this.#signAtMs() > limits.idleSocketMs) {
      this.#gone(link, { reason: "idle", isAnnounced: false });
      link.closeByRouter(4004);
      return undefined;
    }
    if (nowMs - this.#toldPoolsAtMs >= checkEveryMs) {
      this.#toldPoolsAtMs = nowMs;
      this.#offers.tell();
    }
    return this.#toldPoolsAtMs + checkEveryMs;
  }
}

/** 22 characters that name a run of sockets. */
function tokenOf(epoch: number): string {
  return epoch.toString(36).padStart(22, "0");
}
