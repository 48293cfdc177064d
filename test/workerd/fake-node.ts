import { SELF } from "cloudflare:test";
import { type NodeKeyPair, newNodeKey, nodeIdOf, signHello } from "../../core/identity/node-key.ts";
import type { AttemptId, ModelHash, NodeId } from "../../core/ids.ts";
import type { ModelCard } from "../../core/model/model-card.ts";
import type {
  CommitFrame,
  DeltaItem,
  FailReason,
  HeldAttempt,
  HelloFrame,
  NodeFrame,
} from "../../core/wire/node-frame.ts";
import { parseFrames } from "../../core/wire/parse-frames.ts";
import { connectPath, protocolVersions } from "../../core/wire/protocol.ts";
import { type RouterFrame, routerFrameSchema, type TaskFrame } from "../../core/wire/router-frame.ts";
import { Beats } from "./beats.ts";
import { until } from "./until.ts";

/** Host of the router under test, as everybody dials it. */
export const routerHost = "router.test";

/** A node's key and the id that belongs to it. */
export interface NodeIdentity {
  key: NodeKeyPair;
  nodeId: NodeId;
}

export async function newIdentity(): Promise<NodeIdentity> {
  const key = await newNodeKey();
  return { key, nodeId: await nodeIdOf(key.publicKey) };
}

type FrameOf<Type extends RouterFrame["type"]> = Extract<RouterFrame, { type: Type }>;

const openNodes = new Set<FakeNode>();

/** Closes every socket that a test left open, and waits until the router has heard; for `afterEach`. */
export async function closeNodes(): Promise<void> {
  const nodes = [...openNodes];
  for (const node of nodes) node.close();
  for (const node of nodes) await node.closed();
}

/**
 * One socket of a node that speaks the real wire and does only what its test tells it to, besides giving signs of life
 * while it has work. Every frame of the router is checked against the wire's schema; `challenge` is the first, read at
 * {@link dial}.
 */
export class FakeNode {
  readonly identity: NodeIdentity;
  readonly challenge: FrameOf<"challenge">;
  /** Every frame that came. */
  readonly heard: readonly RouterFrame[];
  readonly #socket: WebSocket;
  /** Frames that no test took. */
  readonly #inbox: RouterFrame[];
  readonly #beats: Beats;
  #models: readonly ModelCard[] = [];
  #closed: { code: number; reason: string } | undefined;

  /** Opens a socket as this node, up to the router's challenge. One that is `cutOff` never answers a close. */
  static async dial(identity: NodeIdentity, { cutOff = false } = {}): Promise<FakeNode> {
    const response = await SELF.fetch(`https://${routerHost}${connectPath}?node=${identity.nodeId}`, {
      headers: { upgrade: "websocket" },
    });
    const socket = response.webSocket;
    if (socket === null) throw new Error(`no socket: ${response.status} ${await response.text()}`);
    const heard: RouterFrame[] = [];
    const inbox: RouterFrame[] = [];
    const beats = new Beats((text) => socket.send(text));
    socket.addEventListener("message", ({ data }) => {
      const parsed = parseFrames(routerFrameSchema, data);
      if (!parsed.ok) throw new Error(`the router sent what the wire does not have: ${parsed.problem}`);
      heard.push(...parsed.frames);
      inbox.push(...parsed.frames.filter((frame) => !beats.hear(frame)));
    });
    socket.accept({ allowHalfOpen: cutOff });
    const challenge = await until(() => takeFrame(inbox, "challenge"), "a challenge");
    return new FakeNode({ identity, socket, heard, inbox, beats, challenge });
  }

  private constructor(options: {
    identity: NodeIdentity;
    socket: WebSocket;
    heard: RouterFrame[];
    inbox: RouterFrame[];
    beats: Beats;
    challenge: FrameOf<"challenge">;
  }) {
    const { identity, socket, heard, inbox, beats, challenge } = options;
    this.identity = identity;
    this.challenge = challenge;
    this.#socket = socket;
    this.heard = heard;
    this.#inbox = inbox;
    this.#beats = beats;
    openNodes.add(this);
    socket.addEventListener("close", ({ code, reason }) => {
      this.#closed = { code, reason };
      beats.stop();
      openNodes.delete(this);
    });
  }

  get nodeId(): NodeId {
    return this.identity.nodeId;
  }

  /** A hello that answers this socket's challenge; the rest as given. */
  async hello({
    models,
    invite,
    resume,
  }: {
    models: readonly ModelCard[];
    invite?: string;
    resume?: HelloFrame["resume"];
  }): Promise<HelloFrame> {
    this.#models = models;
    const { key, nodeId } = this.identity;
    return {
      type: "hello",
      protocol: protocolVersions[0],
      nodeId,
      publicKey: key.publicKey,
      signature: await signHello({ nodeId, nonce: this.challenge.nonce, host: routerHost }, key.privateKey),
      host: routerHost,
      ...(invite === undefined ? {} : { invite }),
      name: "fake",
      software: "fake-node 1",
      engine: "fake",
      hardware: { platform: "linux", arch: "x64", cpuModel: "fake", cores: 1, memoryBytes: 1, gpu: null },
      models: [...models],
      ...(resume === undefined ? {} : { resume }),
    };
  }

  /**
   * A fresh socket of the same process, welcome again: its hello brings the last welcome's token back and names what is
   * held ({@link holds}). This socket is left as it is.
   */
  async comeBack(holding: readonly HeldAttempt[]): Promise<{ node: FakeNode; welcome: FrameOf<"welcome"> }> {
    const token = this.heard.findLast((frame) => frame.type === "welcome")?.resumeToken;
    if (token === undefined) throw new Error(`${this.nodeId} was never welcome on this socket`);
    const node = await FakeNode.dial(this.identity);
    node.send(await node.hello({ models: this.#models, resume: { token, holding: [...holding] } }));
    return { node, welcome: await node.next("welcome") };
  }

  /** The next frame of a type that was not taken yet, in the order in which they came. */
  next<Type extends RouterFrame["type"]>(type: Type): Promise<FrameOf<Type>> {
    return until(() => takeFrame(this.#inbox, type), `a ${type} for ${this.nodeId}`);
  }

  /** Frames of a type that came and were not taken. */
  waiting(type: RouterFrame["type"]): number {
    return this.#inbox.filter((frame) => frame.type === type).length;
  }

  /** The code and reason by which the router closed. */
  closed(): Promise<{ code: number; reason: string }> {
    return until(() => this.#closed, `the end of ${this.nodeId}'s socket`);
  }

  get isOpen(): boolean {
    return this.#closed === undefined;
  }

  send(frame: NodeFrame): void {
    this.#socket.send(JSON.stringify(frame));
  }

  /** Frames as one message. */
  sendTogether(...frames: NodeFrame[]): void {
    this.#socket.send(JSON.stringify(frames));
  }

  /** Anything at all, also what is no frame. */
  sendRaw(message: string | ArrayBuffer): void {
    this.#socket.send(message);
  }

  pull(model: ModelHash, creditsTotal: number): void {
    this.send({ type: "pull", model, creditsTotal });
  }

  ack({ attemptId }: { attemptId: AttemptId }, promptTokens = 3): void {
    this.send({ type: "ack", attemptId, promptTokens });
  }

  delta({ attemptId }: { attemptId: AttemptId }, seq: number, piece: Omit<DeltaItem, "attemptId" | "seq">): void {
    this.send({ type: "delta", items: [{ attemptId, seq, ...piece }] });
  }

  commit({ attemptId }: { attemptId: AttemptId }, fields: Partial<CommitFrame> = {}): void {
    this.send({ type: "commit", attemptId, finishReason: "stop", promptTokens: 3, completionTokens: 1, ...fields });
  }

  fail({ attemptId }: { attemptId: AttemptId }, reason: FailReason): void {
    this.send({ type: "fail", attemptId, reason });
  }

  /** Does a whole chat task: one delta of one token that is `text`. */
  answer(task: TaskFrame, text: string): void {
    this.ack(task);
    this.delta(task, 0, { text, tokenIds: [1] });
    this.commit(task);
  }

  /**
   * How a hello names an attempt that made `pieces` pieces of one token each, all of them still kept, and has not ended;
   * `fields` say what is otherwise.
   */
  holds({ attemptId }: { attemptId: AttemptId }, pieces: number, fields: Partial<HeldAttempt> = {}): HeldAttempt {
    const made = { firstSeq: 0, nextSeq: pieces, completionTokens: pieces };
    return { attemptId, ...made, isOver: false, isEndSent: false, ...fields };
  }

  /** Gives no signs of life from now on, as a process that was stopped. */
  mute(): void {
    this.#beats.stop();
  }

  /** Resolves once the router has handled all that this socket sent. */
  async untilHeard(): Promise<void> {
    // Another spelling than the platform answers by itself.
    this.sendRaw(' {"type":"heartbeat"}');
    await this.next("heartbeat");
  }

  /** Ends the socket from the node's side, as one that is done. */
  close(): void {
    this.#end(1000, "the test is done with it");
  }

  /** Loses the socket, as a node does whose network breaks: nothing says that it is done. */
  drop(): void {
    this.#end(undefined, undefined);
  }

  #end(code: number | undefined, reason: string | undefined): void {
    this.#beats.stop();
    openNodes.delete(this);
    if (this.#closed === undefined) this.#socket.close(code, reason);
  }
}

function takeFrame<Type extends RouterFrame["type"]>(inbox: RouterFrame[], type: Type): FrameOf<Type> | undefined {
  const index = inbox.findIndex((frame) => frame.type === type);
  const frame = inbox[index];
  if (frame === undefined || !isOf(frame, type)) return undefined;
  inbox.splice(index, 1);
  return frame;
}

function isOf<Type extends RouterFrame["type"]>(frame: RouterFrame, type: Type): frame is FrameOf<Type> {
  return frame.type === type;
}
