import { DurableObject } from "cloudflare:workers";
import type { AttemptId, ModelHash } from "../../core/ids.ts";
import { limits } from "../../core/limits.ts";
import type { ModelCard } from "../../core/model/model-card.ts";
import { Refusal } from "../../core/refusal.ts";
import type { TrustStanding } from "../../core/reputation/trust-standing.ts";
import { type HelloFrame, type NodeFrame, nodeFrameSchema } from "../../core/wire/node-frame.ts";
import { parseFrames } from "../../core/wire/parse-frames.ts";
import { closeCodes, heartbeatText } from "../../core/wire/protocol.ts";
import type { Env } from "../env.ts";
import type { TrustMark } from "../trust/trust-mark.ts";
import { admitNode } from "./admit-node.ts";
import { Alarm } from "./alarm.ts";
import { Credits } from "./credits.ts";
import { FlushTimer } from "./flush-timer.ts";
import { HelloPatience } from "./hello-patience.ts";
import { helloIn, joinedNode, seenEntry, welcomeOf } from "./join-node.ts";
import { isMigrated, migrate } from "./migrate.ts";
import { describeNode, type NodeDescription } from "./node-description.ts";
import { NodeLeases } from "./node-leases.ts";
import {
  type ChallengedState,
  challengeSocket,
  close,
  OpenSocket,
  type OpenState,
  send,
  setState,
  stateOf,
  supersede,
} from "./node-socket.ts";
import { nodeMigrations } from "./node-tables.ts";
import { Outbox } from "./outbox.ts";
import { type Offering, PoolOffers, type Whose } from "./pool-offers.ts";
import type { AttachRequest, AttachResult, RunRequest, RunResult } from "./run.ts";
import { recordSender } from "./send-record.ts";
import { StandingTeller } from "./standing-teller.ts";
import { readNode, type StoredNode, withLoss, writeNode } from "./stored-node.ts";
import { type Settlement, TrustKeeper } from "./trust-keeper.ts";

const checkEveryMs = 30_000;

/**
 * One node: its socket, what it may still be sent, and the tasks it works on. Decides nothing about who gets work,
 * but has the last word on whether this node can take it.
 */
export class NodeObject extends DurableObject<Env> {
  readonly #outbox = new Outbox(this.ctx.storage.sql, recordSender(this.env));
  readonly #flush = new FlushTimer(this.#outbox, (promise) => this.ctx.waitUntil(promise));
  readonly #alarm = new Alarm(this.ctx.storage, [
    (nowMs) => this.#outbox.flush(nowMs),
    (nowMs) => this.#checkSocket(nowMs),
  ]);
  /** These are read from storage and the socket when the object wakes. */
  #leases: NodeLeases | undefined;
  #credits: Credits | undefined;
  #stored: StoredNode | undefined;
  #trust: TrustKeeper | undefined;
  #open: OpenSocket | undefined;
  #toldPoolsAtMs = 0;
  readonly #standings = new StandingTeller((frame) => this.#socket()?.send([frame]));
  readonly #pools = new PoolOffers({
    env: this.env,
    waitUntil: (promise) => this.ctx.waitUntil(promise),
    offering: () => this.#offering(),
    onStanding: (model, standing) => this.#standings.tell(model, standing),
  });
  readonly #patience = new HelloPatience();
  #lastLoss: NodeDescription["lastLoss"] = null;

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    // The platform answers heartbeats by itself, so that an idle node costs nothing.
    ctx.setWebSocketAutoResponse(new WebSocketRequestResponsePair(heartbeatText, heartbeatText));
  }

  /** The node's socket. The Worker has checked that this is an upgrade and put the node's id in the URL. */
  override async fetch(request: Request): Promise<Response> {
    const { client, server } = challengeSocket(request, this.ctx);
    this.#patience.begin(server);
    return new Response(null, { status: 101, webSocket: client });
  }

  /** Runs a task on this node. Returns once the node has acked or refused it, or is given up. */
  async run(request: RunRequest): Promise<RunResult> {
    const open = this.#socket();
    const leases = this.#book();
    if (open === undefined || leases === undefined) {
      // A pool that sends work here has missed that the node is gone.
      this.#leavePools();
      return { kind: "offline" };
    }
    if (open.state.isDraining || !this.#creditsOf(open).take(request.model, request.attemptId)) {
      this.#pools.tellWithin(0);
      return { kind: "full" };
    }
    open.noteCredits();
    this.#pools.taken(request.model);
    const card = this.#cardOf(request.model);
    const result = await leases.run(request, card);
    return result.kind === "accepted" ? { ...result, ...this.#trusted()?.standingFor(card) } : result;
  }

  /** Tells the rest of an attempt to a Worker whose telling broke. */
  async attach(request: AttachRequest): Promise<AttachResult> {
    const card = this.#cardOf(this.#book()?.modelOf(request.attemptId));
    const result = (await this.#book()?.attach(request)) ?? { kind: "unknown" };
    return result.kind === "accepted" ? { ...result, ...this.#trusted()?.standingFor(card) } : result;
  }

  /**
   * The caller is gone: the node stops, and what it has done is recorded here. False where the attempt is unknown or
   * over, so that its record is somebody else's.
   */
  cancel(attemptId: AttemptId): boolean {
    return this.#book()?.cancel(attemptId) ?? false;
  }

  /** {@link TrustKeeper.settle}. `undefined` where no node ever joined by this id. */
  async settle(told: Settlement): Promise<TrustStanding | undefined> {
    return this.#trusted()?.settle(told);
  }

  /** A person takes a suspension back; the node begins anew. False where no node ever joined by this id. */
  async reinstate(): Promise<boolean> {
    await this.#trusted()?.reinstate();
    return this.#trusted() !== undefined;
  }

  /** What checks have said of this node, newest first; `undefined` where none ever joined. */
  verdicts(): TrustMark[] | undefined {
    return this.#trusted()?.marks();
  }

  /** A pool that was reset asks what room there is. */
  async offerNow(): Promise<void> {
    if (this.#offering() === undefined) this.#leavePools();
    else await this.#pools.tell();
  }

  /** This node for its operator; `undefined` where none ever joined by this id. */
  async describe(): Promise<NodeDescription | undefined> {
    const node = this.#node();
    const trust = this.#trusted()?.standing();
    if (node === undefined || trust === undefined) return undefined;
    const open = this.#socket();
    return describeNode(node, {
      trust,
      open,
      credits: open === undefined ? undefined : this.#creditsOf(open),
      running: this.#book()?.size ?? 0,
      lastLoss: this.#lastLoss,
      isAway: this.#pools.isAway,
      standingOf: (model) => this.#pools.standing(node.nodeId, model),
    });
  }

  /** What this node's leases were told of late, for `npm run replay`; empty where none ever joined. */
  exportTrace(): string {
    return this.#book()?.exportTrace() ?? "";
  }

  override async webSocketMessage(socket: WebSocket, message: string | ArrayBuffer): Promise<void> {
    const open = this.#socket();
    if (open !== undefined && open.socket === socket) {
      open.heardAtMs = Date.now();
      const parsed = parseFrames(nodeFrameSchema, message);
      if (!parsed.ok) this.#reject(socket, new Refusal({ code: "invalid_frame", message: parsed.problem }));
      else this.#handle(open, parsed.frames);
      return;
    }
    const state = stateOf(socket);
    // What an older socket still brings is fenced: its node speaks by the newer one.
    if (state.phase === "closed" || state.phase === "open") return;
    try {
      const hello = helloIn(message);
      if (state.phase === "challenged") await this.#welcome(socket, state, hello);
      else throw new Refusal({ code: "invalid_frame", message: "A hello comes once." });
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      this.#reject(socket, error);
    }
  }

  override async webSocketClose(socket: WebSocket, code: number): Promise<void> {
    this.#gone(socket, { reason: `the socket closed with ${code}`, isAnnounced: code === closeCodes.finished });
    // Our own close frame ends the handshake (RFC 6455 §5.5.1): a node that waits for it would otherwise wait in vain.
    if (socket.readyState !== WebSocket.CLOSED) socket.close(code === 1005 || code === 1006 ? 1000 : code, "");
  }

  override async webSocketError(socket: WebSocket): Promise<void> {
    this.#gone(socket, { reason: "the socket broke", isAnnounced: false });
  }

  override async alarm(): Promise<void> {
    if (!isMigrated(this.ctx.storage)) return;
    await this.#alarm.ring(Date.now());
  }

  async #welcome(socket: WebSocket, challenge: ChallengedState, hello: HelloFrame): Promise<void> {
    setState(socket, { phase: "checking" });
    const operator = await admitNode(this.env, { hello, challenge, registeredTo: this.#node()?.accountId });
    if (operator === undefined) {
      close(socket, closeCodes.restart, "try again");
      return;
    }
    if (stateOf(socket).phase !== "checking") return;
    const suspension = this.#trusted()?.suspension();
    if (suspension !== undefined) throw suspension;
    migrate(this.ctx.storage, nodeMigrations);
    const nowMs = Date.now();
    // Read again: another socket of this node may have come in while this one was checked.
    const older = this.#socket();
    const joined = joinedNode(this.#node(), hello, { operator, hasOlderSocket: older !== undefined, nowMs });
    const { node, isResumed, dropped } = joined;
    if (older !== undefined) supersede(older, { isResumed });
    writeNode(this.ctx.storage, node);
    this.#standings.forget();
    this.#open = undefined;
    this.#stored = undefined;
    this.#credits = undefined;
    this.#patience.end(socket);
    this.#pools.back();
    const state: OpenState = { phase: "open", epoch: node.epoch, heardAtMs: nowMs, isDraining: false, credits: [] };
    setState(socket, state);
    this.#open = new OpenSocket(socket, state, this.ctx);
    const welcomed = this.#book()?.welcome(isResumed ? (hello.resume?.holding ?? []) : [], nowMs);
    this.#open.send([welcomeOf(node, hello, welcomed?.leases ?? [])]);
    welcomed?.perform();
    this.#pools.leave(node.nodeId, dropped);
    const flushAtMs = this.#outbox.add([seenEntry(node, hello, nowMs)], nowMs);
    await this.#alarm.ringBy(Math.min(flushAtMs, nowMs + checkEveryMs));
  }

  #handle(open: OpenSocket, frames: readonly NodeFrame[]): void {
    const leases = this.#book();
    if (leases === undefined) throw new Error("a node without leases has an open socket");
    leases.during(() => {
      for (const frame of frames) this.#handleOne(open, leases, frame);
    });
  }

  #handleOne(open: OpenSocket, leases: NodeLeases, frame: NodeFrame): void {
    switch (frame.type) {
      case "pull":
        this.#creditsOf(open).grant(frame.model, frame.creditsTotal);
        open.noteCredits();
        this.#pools.granted(frame.model);
        break;
      case "ack":
      case "delta":
      case "commit":
      case "fail":
        leases.take(frame);
        break;
      case "status":
        open.setDraining(frame.state === "draining");
        if (frame.state === "draining") this.#leavePools();
        break;
      case "drained":
        this.#gone(open.socket, { reason: "the node drained", isAnnounced: true });
        close(open.socket, closeCodes.finished, "drained");
        break;
      case "heartbeat":
        open.send([{ type: "heartbeat" }]);
        break;
      case "hello":
        this.#reject(open.socket, new Refusal({ code: "invalid_frame", message: "A hello comes once." }));
    }
  }

  #reject(socket: WebSocket, refusal: Refusal): void {
    send(socket, { type: "reject", code: refusal.code, message: refusal.message.slice(0, 1_000) });
    this.#gone(socket, { reason: refusal.code, isAnnounced: false });
    close(socket, refusal.code === "invalid_frame" ? closeCodes.badFrame : closeCodes.rejected, refusal.code);
  }

  /** The socket is no more; its attempts may outlive it. An older socket's end means nothing. */
  #gone(socket: WebSocket, { reason, isAnnounced }: { reason: string; isAnnounced: boolean }): void {
    const isPresent = this.#socket()?.socket === socket;
    this.#patience.end(socket);
    setState(socket, { phase: "closed" });
    if (!isPresent) return;
    this.#open = undefined;
    const nowMs = Date.now();
    this.#lastLoss = { atMs: nowMs, reason };
    this.#book()?.socketLost(nowMs, reason);
    const node = this.#node();
    if (isAnnounced) this.#leavePools();
    if (isAnnounced || node === undefined) return;
    this.#stored = withLoss(this.ctx.storage, node, nowMs);
    this.#pools.away(this.#whose(node), node.models, this.#stored.flaps);
  }

  /** The node's present socket. */
  #socket(): OpenSocket | undefined {
    if (this.#open !== undefined) return this.#open;
    for (const socket of this.ctx.getWebSockets()) {
      const state = stateOf(socket);
      if (state.phase === "open") this.#open = new OpenSocket(socket, state, this.ctx);
    }
    return this.#open;
  }

  #creditsOf(open: OpenSocket): Credits {
    if (this.#credits === undefined) {
      const models = this.#node()?.models.map((card) => card.fileSha256) ?? [];
      const credits = new Credits(models, open.state.credits);
      this.#credits = credits;
      open.totals = () => credits.totals();
    }
    return this.#credits;
  }

  #node(): StoredNode | undefined {
    this.#stored ??= readNode(this.ctx.storage);
    return this.#stored;
  }

  /** What this node works on; read from storage after a reset. */
  #book(): NodeLeases | undefined {
    const node = this.#node();
    if (node === undefined) return undefined;
    this.#leases ??= new NodeLeases({
      nodeId: node.nodeId,
      outbox: this.#outbox,
      socket: () => this.#socket(),
      onSilent: () => {
        const silent = this.#socket();
        if (silent === undefined) return;
        this.#gone(silent.socket, { reason: "the node gave no sign", isAnnounced: false });
        close(silent.socket, closeCodes.idle, "no sign of life");
      },
      onFirstToken: (model, firstTokenMs) => this.#pools.noteFirstToken(model, firstTokenMs),
      onRecorded: (flushAtMs) => {
        this.#flush.flushBy(flushAtMs);
        this.ctx.waitUntil(this.#alarm.ringBy(Date.now() + checkEveryMs));
      },
    });
    return this.#leases;
  }

  #offering(): Offering | undefined {
    const node = this.#node();
    const open = this.#socket();
    if (node === undefined || open === undefined || open.state.isDraining) return undefined;
    const { models, flaps } = node;
    return { ...this.#whose(node), models, credits: this.#creditsOf(open), asideUntilMs: flaps.asideUntilMs };
  }

  #whose({ nodeId, accountId: operator }: StoredNode): Whose {
    return { nodeId, operator, mayValidate: this.#trusted()?.standing().mayValidate ?? false };
  }

  #cardOf(model: ModelHash | undefined): ModelCard | undefined {
    return this.#node()?.models.find(({ fileSha256 }) => fileSha256 === model);
  }

  /** What the node has earned; `undefined` where none ever joined. */
  #trusted(): TrustKeeper | undefined {
    const node = this.#node();
    if (node === undefined) return undefined;
    this.#trust ??= new TrustKeeper({
      storage: this.ctx.storage,
      node,
      record: (entries) => this.#alarm.ringBy(this.#outbox.add(entries, Date.now())),
      onSuspended: (refusal) => {
        const open = this.#socket();
        if (open !== undefined) this.#reject(open.socket, refusal);
        this.#leavePools();
      },
      onAbility: () => this.#pools.tellWithin(0),
    });
    return this.#trust;
  }

  #leavePools(): void {
    const node = this.#node();
    if (node !== undefined) this.#pools.leave(node.nodeId, node.models);
  }

  /** Ends a socket that nothing was heard of for too long, and keeps the pools' view of a living one fresh. */
  async #checkSocket(nowMs: number): Promise<number | undefined> {
    const open = this.#socket();
    // What a reset has left open is brought back here, and settles within the grace.
    const leases = this.#book();
    if (open === undefined) return (leases?.size ?? 0) > 0 ? nowMs + checkEveryMs : undefined;
    if (nowMs - open.signAtMs() > limits.idleSocketMs) {
      this.#reject(open.socket, new Refusal({ code: "idle", message: "No heartbeat for too long." }));
      return undefined;
    }
    // Each flush of the outbox rings too; the pools need not hear of it.
    if (nowMs - this.#toldPoolsAtMs >= checkEveryMs) {
      this.#toldPoolsAtMs = nowMs;
      await this.#pools.tell();
    }
    return this.#toldPoolsAtMs + checkEveryMs;
  }
}
