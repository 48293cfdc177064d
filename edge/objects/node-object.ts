import { DurableObject } from "cloudflare:workers";
import { toBase64Url } from "../../core/identity/node-key.ts";
import { type AccountId, type AttemptId, nodeIdSchema } from "../../core/ids.ts";
import { limits } from "../../core/limits.ts";
import { Refusal } from "../../core/refusal.ts";
import { type HelloFrame, type NodeFrame, nodeFrameSchema } from "../../core/wire/node-frame.ts";
import { parseFrame } from "../../core/wire/parse-frame.ts";
import { closeCodes, heartbeatText, protocolVersions } from "../../core/wire/protocol.ts";
import type { Env } from "../env.ts";
import { admitNode } from "./admit-node.ts";
import { Alarm } from "./alarm.ts";
import { Credits } from "./credits.ts";
import { Lease } from "./lease.ts";
import { isMigrated, migrate } from "./migrate.ts";
import {
  type ChallengedState,
  close,
  findOpen,
  type OpenSocket,
  type OpenState,
  send,
  setState,
  stateOf,
} from "./node-socket.ts";
import { nodeMigrations } from "./node-tables.ts";
import { Outbox } from "./outbox.ts";
import { claimConfirmMs, type Offering, PoolOffers } from "./pool-offers.ts";
import type { RunRequest, RunResult } from "./run.ts";
import { recordSender } from "./send-record.ts";
import { readNode, type StoredNode, writeNode } from "./stored-node.ts";

const checkEveryMs = 30_000;

/**
 * One node: its socket, what it may still be sent, and the tasks it works on. Decides nothing about who gets work,
 * but has the last word on whether this node can take it.
 */
export class NodeObject extends DurableObject<Env> {
  readonly #outbox = new Outbox(this.ctx.storage.sql, recordSender(this.env));
  readonly #alarm = new Alarm(this.ctx.storage, [
    (nowMs) => this.#outbox.flush(nowMs),
    (nowMs) => this.#checkSocket(nowMs),
  ]);
  readonly #leases = new Map<AttemptId, Lease>();
  /** Both are read from storage and the socket when the object wakes. */
  #credits: Credits | undefined;
  #stored: StoredNode | undefined;
  #toldPoolsAtMs = 0;
  readonly #pools = new PoolOffers({
    env: this.env,
    waitUntil: (promise) => this.ctx.waitUntil(promise),
    offering: () => this.#offering(),
  });
  /** Timers of sockets whose hello is due. An object with a timer does not sleep. */
  readonly #patience = new WeakMap<WebSocket, ReturnType<typeof setTimeout>>();

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    // The platform answers heartbeats by itself, so that an idle node costs nothing.
    ctx.setWebSocketAutoResponse(new WebSocketRequestResponsePair(heartbeatText, heartbeatText));
  }

  /** The node's socket. The Worker has checked that this is an upgrade and put the node's id in the URL. */
  override async fetch(request: Request): Promise<Response> {
    const url = new URL(request.url);
    const nodeId = nodeIdSchema.parse(url.searchParams.get("node"));
    const nonce = toBase64Url(crypto.getRandomValues(new Uint8Array(32)));
    const { 0: client, 1: server } = new WebSocketPair();
    this.ctx.acceptWebSocket(server);
    setState(server, { phase: "challenged", nodeId, nonce, host: request.headers.get("host") ?? url.host });
    send(server, { type: "challenge", protocols: [...protocolVersions], nonce });
    const patience = setTimeout(() => {
      if (stateOf(server).phase !== "open") close(server, closeCodes.idle, "no hello in time");
    }, limits.helloMs);
    this.#patience.set(server, patience);
    return new Response(null, { status: 101, webSocket: client });
  }

  /** Runs a task on this node. Returns once the node has acked or refused it, or is given up. */
  async run(request: RunRequest): Promise<RunResult> {
    const open = this.#socket();
    const node = this.#node();
    if (open === undefined || node === undefined) {
      // A pool that sends work here has missed that the node is gone.
      this.#leavePools();
      return { kind: "offline" };
    }
    if (open.state.isDraining || !this.#take(open, request)) {
      this.#pools.tellWithin(0);
      return { kind: "full" };
    }
    const lease = new Lease({
      request,
      nodeId: node.nodeId,
      dimensions: node.models.find((card) => card.fileSha256 === request.model)?.dimensions,
      nowMs: Date.now(),
      onEnd: (ended) => this.#ended(ended),
      onUnread: (unread) => this.cancel(unread.request.attemptId),
    });
    this.#leases.set(request.attemptId, lease);
    const { taskId, attemptId, model, input } = request;
    send(open.socket, { type: "task", taskId, attemptId, model, input });
    this.#pools.tellWithin(claimConfirmMs);
    const start = await lease.started;
    if (start.kind !== "acked") return start;
    return { kind: "accepted", promptTokens: start.promptTokens, events: lease.events };
  }

  /**
   * The caller is gone: the node stops, and what it has done is recorded here. False where the attempt is unknown or
   * over, so that its record is somebody else's.
   */
  cancel(attemptId: AttemptId): boolean {
    const lease = this.#leases.get(attemptId);
    if (lease === undefined || lease.isOver) return false;
    if (lease.isCancelled) return true;
    lease.cancel(Date.now());
    const open = this.#socket();
    if (open !== undefined) send(open.socket, { type: "cancel", attemptId });
    return true;
  }

  override async webSocketMessage(socket: WebSocket, message: string | ArrayBuffer): Promise<void> {
    const state = stateOf(socket);
    if (state.phase === "closed") return;
    const parsed = parseFrame(nodeFrameSchema, message);
    if (!parsed.ok) this.#reject(socket, new Refusal({ code: "invalid_frame", message: parsed.problem }));
    else if (state.phase === "open") this.#handle(socket, state, parsed.frame);
    else if (state.phase === "challenged" && parsed.frame.type === "hello") {
      await this.#welcome(socket, state, parsed.frame);
    } else this.#reject(socket, new Refusal({ code: "invalid_frame", message: "The first frame is one hello." }));
  }

  override async webSocketClose(socket: WebSocket, code: number): Promise<void> {
    this.#gone(socket, `the socket closed with ${code}`);
    // Our own close frame ends the handshake (RFC 6455 §5.5.1): a node that waits for it would otherwise wait in vain.
    if (socket.readyState !== WebSocket.CLOSED) socket.close(code === 1005 || code === 1006 ? 1000 : code, "");
  }

  override async webSocketError(socket: WebSocket): Promise<void> {
    this.#gone(socket, "the socket broke");
  }

  override async alarm(): Promise<void> {
    if (isMigrated(this.ctx.storage)) await this.#alarm.ring(Date.now());
  }

  async #welcome(socket: WebSocket, challenge: ChallengedState, hello: HelloFrame): Promise<void> {
    setState(socket, { phase: "checking" });
    const known = this.#node();
    let operator: AccountId;
    try {
      operator = await admitNode(this.env, { hello, challenge, registeredTo: known?.accountId });
    } catch (error) {
      if (error instanceof Refusal) {
        this.#reject(socket, error);
        return;
      }
      console.error("node: a hello could not be checked", { nodeId: challenge.nodeId, error: String(error) });
      close(socket, closeCodes.restart, "try again");
      return;
    }
    if (stateOf(socket).phase !== "checking") return;
    migrate(this.ctx.storage, nodeMigrations);
    const nowMs = Date.now();
    // Read again: another socket of this node may have come in while this one was checked.
    const before = this.#node();
    const epoch = (before?.epoch ?? 0) + 1;
    for (const older of this.ctx.getWebSockets()) {
      if (older !== socket && stateOf(older).phase === "open") this.#supersede(older);
    }
    const dropped = before?.models.filter((old) => !hello.models.some((card) => card.fileSha256 === old.fileSha256));
    const { nodeId, publicKey, name, software, models } = hello;
    const registeredAtMs = before?.registeredAtMs ?? nowMs;
    writeNode(this.ctx.storage, { nodeId, accountId: operator, publicKey, epoch, registeredAtMs, models });
    this.#stored = undefined;
    this.#credits = undefined;
    clearTimeout(this.#patience.get(socket) ?? null);
    setState(socket, { phase: "open", epoch, heardAtMs: nowMs, isDraining: false, credits: [] });
    send(socket, {
      type: "welcome",
      protocol: hello.protocol,
      nodeId,
      epoch,
      operator,
      heartbeatMs: limits.heartbeatMs,
    });
    this.#pools.leave(nodeId, dropped ?? []);
    const seen = { nodeId, accountId: operator, name, publicKey, software, models, registeredAtMs, seenAtMs: nowMs };
    const flushAtMs = this.#outbox.add([{ kind: "node", ...seen }], nowMs);
    await this.#alarm.ringBy(Math.min(flushAtMs, nowMs + checkEveryMs));
  }

  #handle(socket: WebSocket, state: OpenState, frame: NodeFrame): void {
    const nowMs = Date.now();
    switch (frame.type) {
      case "pull": {
        const credits = this.#creditsOf(state);
        credits.grant(frame.model, frame.creditsTotal);
        setState(socket, { ...state, heardAtMs: nowMs, credits: credits.totals() });
        this.#pools.tellWithin(0);
        break;
      }
      case "ack":
        this.#tell(socket, frame.attemptId, (lease) => lease.ack(frame.promptTokens, nowMs));
        break;
      case "delta":
        for (const item of frame.items) this.#tell(socket, item.attemptId, (lease) => lease.delta(item, nowMs));
        break;
      case "commit":
        this.#tell(socket, frame.attemptId, (lease) => lease.commit(frame, nowMs));
        break;
      case "fail":
        this.#leases.get(frame.attemptId)?.fail(frame.reason, nowMs);
        break;
      case "status":
        setState(socket, { ...state, heardAtMs: nowMs, isDraining: frame.state === "draining" });
        if (frame.state === "draining") this.#leavePools();
        break;
      case "drained":
        this.#gone(socket, "the node drained");
        close(socket, closeCodes.finished, "drained");
        break;
      case "heartbeat":
        send(socket, { type: "heartbeat" });
        break;
      case "hello":
        this.#reject(socket, new Refusal({ code: "invalid_frame", message: "A hello comes once." }));
    }
  }

  /** Hands a frame to its lease. A lease that is over has late frames, which mean nothing; a wrong one ends it. */
  #tell(socket: WebSocket, attemptId: AttemptId, act: (lease: Lease) => string | undefined): void {
    const lease = this.#leases.get(attemptId);
    if (lease === undefined || lease.isOver) return;
    const problem = act(lease);
    if (problem === undefined) return;
    console.warn("node: a frame broke the protocol", { attemptId, problem });
    send(socket, { type: "cancel", attemptId });
    lease.end("refuse", `protocol: ${problem}`.slice(0, 200), Date.now());
  }

  #ended(lease: Lease): void {
    const nowMs = Date.now();
    const { attemptId } = lease.request;
    this.#leases.delete(attemptId);
    // A node that hung may wake: what it was given up for is another's now.
    if (lease.attempt.state === "timed_out") {
      const open = this.#socket();
      if (open !== undefined) send(open.socket, { type: "cancel", attemptId });
    }
    this.ctx.waitUntil(this.#alarm.ringBy(this.#outbox.add([lease.record(nowMs)], nowMs)));
  }

  #reject(socket: WebSocket, refusal: Refusal): void {
    send(socket, { type: "reject", code: refusal.code, message: refusal.message.slice(0, 1_000) });
    this.#gone(socket, refusal.code);
    close(socket, refusal.code === "invalid_frame" ? closeCodes.badFrame : closeCodes.rejected, refusal.code);
  }

  #supersede(socket: WebSocket): void {
    send(socket, {
      type: "reject",
      code: "superseded",
      message: "Another process opened a socket with this node's key.",
    });
    setState(socket, { phase: "closed" });
    this.#endLeases("another socket of this node took over");
    close(socket, closeCodes.superseded, "superseded");
  }

  /** The socket is no more: what it carried is lost, and its pools know. An older socket's end means nothing. */
  #gone(socket: WebSocket, reason: string): void {
    const wasOpen = stateOf(socket).phase === "open";
    clearTimeout(this.#patience.get(socket) ?? null);
    setState(socket, { phase: "closed" });
    if (!wasOpen || this.#socket() !== undefined) return;
    this.#endLeases(reason);
    this.#leavePools();
  }

  #endLeases(reason: string): void {
    for (const lease of [...this.#leases.values()]) lease.end("socketGone", reason, Date.now());
  }

  /** The node's present socket. */
  #socket(): OpenSocket | undefined {
    return findOpen(this.ctx.getWebSockets());
  }

  #take({ socket, state }: OpenSocket, { model, attemptId }: RunRequest): boolean {
    const credits = this.#creditsOf(state);
    if (!credits.take(model, attemptId)) return false;
    setState(socket, { ...state, credits: credits.totals() });
    return true;
  }

  #creditsOf(state: OpenState): Credits {
    const models = this.#node()?.models.map((card) => card.fileSha256) ?? [];
    this.#credits ??= new Credits(models, state.credits);
    return this.#credits;
  }

  #node(): StoredNode | undefined {
    this.#stored ??= readNode(this.ctx.storage);
    return this.#stored;
  }

  #offering(): Offering | undefined {
    const node = this.#node();
    const open = this.#socket();
    if (node === undefined || open === undefined || open.state.isDraining) return undefined;
    return { nodeId: node.nodeId, models: node.models, credits: this.#creditsOf(open.state) };
  }

  #leavePools(): void {
    const node = this.#node();
    if (node !== undefined) this.#pools.leave(node.nodeId, node.models);
  }

  /** Ends a socket that nothing was heard of for too long, and keeps the pools' view of a living one fresh. */
  async #checkSocket(nowMs: number): Promise<number | undefined> {
    const open = this.#socket();
    if (open === undefined) return undefined;
    const beatAtMs = this.ctx.getWebSocketAutoResponseTimestamp(open.socket)?.getTime() ?? 0;
    if (nowMs - Math.max(beatAtMs, open.state.heardAtMs) > limits.idleSocketMs) {
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
