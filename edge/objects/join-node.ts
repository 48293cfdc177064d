import { toBase64Url } from "../../core/identity/node-key.ts";
import type { AccountId, AttemptId } from "../../core/ids.ts";
import { limits } from "../../core/limits.ts";
import type { ModelCard } from "../../core/model/model-card.ts";
import { noteLoss, steady } from "../../core/node/flaps.ts";
import type { RecordEntry } from "../../core/record/entry.ts";
import { Refusal } from "../../core/refusal.ts";
import { type HelloFrame, nodeFrameSchema } from "../../core/wire/node-frame.ts";
import { parseFrames } from "../../core/wire/parse-frames.ts";
import type { RouterFrame } from "../../core/wire/router-frame.ts";
import type { StoredNode } from "./stored-node.ts";

/** The hello of a socket that was challenged; throws a refusal `invalid_frame` for anything else. */
export function helloIn(message: string | ArrayBuffer): HelloFrame {
  const parsed = parseFrames(nodeFrameSchema, message);
  if (!parsed.ok) throw new Refusal({ code: "invalid_frame", message: parsed.problem });
  const [hello] = parsed.frames;
  if (hello?.type === "hello" && parsed.frames.length === 1) return hello;
  throw new Refusal({ code: "invalid_frame", message: "The first frame is one hello." });
}

/**
 * A node as it joins, after what was known of it `before`. `isResumed`: the same process is back, whose attempts live on.
 * `dropped` are models that it has no more.
 */
export function joinedNode(
  before: StoredNode | undefined,
  hello: HelloFrame,
  { operator, hasOlderSocket, nowMs }: { operator: AccountId; hasOlderSocket: boolean; nowMs: number },
): { node: StoredNode; isResumed: boolean; dropped: ModelCard[] } {
  const { nodeId, publicKey, models } = hello;
  const isResumed = before !== undefined && hello.resume?.token === before.resumeToken;
  const resumeToken = isResumed ? before.resumeToken : toBase64Url(crypto.getRandomValues(new Uint8Array(16)));
  // A socket that its node gave up before anybody here noticed is one lost, too.
  const isLoss = hasOlderSocket && isResumed;
  const flaps = isLoss ? noteLoss(before.flaps, nowMs) : (before?.flaps ?? steady);
  const epoch = (before?.epoch ?? 0) + 1;
  const registeredAtMs = before?.registeredAtMs ?? nowMs;
  const node = { nodeId, accountId: operator, publicKey, epoch, registeredAtMs, models, resumeToken, flaps };
  const dropped = before?.models.filter((old) => !models.some((card) => card.fileSha256 === old.fileSha256)) ?? [];
  return { node, isResumed, dropped };
}

/** The router's yes to a hello. */
export function welcomeOf(
  { nodeId, epoch, accountId: operator, resumeToken }: StoredNode,
  { protocol }: HelloFrame,
  leases: { attemptId: AttemptId; nextSeq: number | null }[],
): RouterFrame {
  const { heartbeatMs, busyHeartbeatMs } = limits;
  return { type: "welcome", protocol, nodeId, epoch, operator, heartbeatMs, busyHeartbeatMs, resumeToken, leases };
}

/** A node that was seen, for the record. */
export function seenEntry(
  { nodeId, accountId, publicKey, models, registeredAtMs }: StoredNode,
  { name, software }: HelloFrame,
  seenAtMs: number,
): RecordEntry {
  return { kind: "node", nodeId, accountId, name, publicKey, software, models, registeredAtMs, seenAtMs };
}
