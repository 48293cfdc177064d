import { SELF } from "cloudflare:test";
import { type NodeKeyPair, newNodeKey, nodeIdOf, signHello } from "../../core/identity/node-key.ts";
import type { AttemptId, ModelHash, NodeId } from "../../core/ids.ts";
import type { ModelCard } from "../../core/model/model-card.ts";
import type { CommitFrame, DeltaItem, FailReason, HelloFrame, NodeFrame } from "../../core/wire/node-frame.ts";
import { connectPath } from "../../core/wire/protocol.ts";
import { type RouterFrame, routerFrameSchema, type TaskFrame } from "../../core/wire/router-frame.ts";
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
 * One socket of a node that speaks the real wire and does only what its test tells it to. Every frame of the router is
 * checked against the wire's schema; `challenge` is the first, read at {@link dial}.
 */
export class FakeNode {
  readonly identity: NodeIdentity;
  readonly challenge: FrameOf<"challenge">;
  readonly #socket: WebSocket;
  readonly #inbox: RouterFrame[];
  #closed: { code: number; reason: string } | undefined;

  /** Opens a socket as this node, up to the router's challenge. One that is `cutOff` never answers a close. */
  static async dial(identity: NodeIdentity, { cutOff = false } = {}): Promise<FakeNode> {
    const response = await SELF.fetch(`https://${routerHost}${connectPath}?node=${identity.nodeId}`, {
      headers: { upgrade: "websocket" },
    });
    const socket = response.webSocket;
    if (socket === null) throw new Error(`no socket: ${response.status} ${await response.text()}`);
    const inbox: RouterFrame[] = [];
    socket.addEventListener("message", ({ data }) => {
      inbox.push(routerFrameSchema.parse(JSON.parse(String(data))));
    });
    socket.accept({ allowHalfOpen: cutOff });
    const challenge = await until(() => takeFrame(inbox, "challenge"), "a challenge");
    return new FakeNode(identity, socket, inbox, challenge);
  }

  private constructor(
    identity: NodeIdentity,
    socket: WebSocket,
    inbox: RouterFrame[],
    challenge: FrameOf<"challenge">,
  ) {
    this.identity = identity;
    this.challenge = challenge;
    this.#socket = socket;
    this.#inbox = inbox;
    openNodes.add(this);
    socket.addEventListener("close", ({ code, reason }) => {
      this.#closed = { code, reason };
      openNodes.delete(this);
    });
  }

  get nodeId(): NodeId {
    return this.identity.nodeId;
  }

  /** A hello that answers this socket's challenge; `models` and `invite` as given. */
  async hello({ models, invite }: { models: readonly ModelCard[]; invite?: string }): Promise<HelloFrame> {
    const { key, nodeId } = this.identity;
    return {
      type: "hello",
      protocol: 1,
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
    };
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

  /** Ends the socket from the node's side. */
  close(): void {
    openNodes.delete(this);
    if (this.#closed === undefined) this.#socket.close(1000, "the test is done with it");
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
