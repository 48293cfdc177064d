import type { LeaseTerms } from "../lease/lease.ts";
import type { FailReason } from "../wire/node-frame.ts";
import { LeaseScene } from "./lease-scene.ts";

/** What happens to the lease of a scene. */
export type Act = (scene: LeaseScene) => unknown;

export const ack: Act = (scene) => scene.ack();

/** A piece of so many tokens. */
export const piece =
  (seq: number, tokens = 1): Act =>
  (scene) =>
    scene.delta(seq, { text: "a", tokenIds: Array.from({ length: tokens }, () => 1) });

export const commit =
  (...of: Parameters<LeaseScene["commit"]>): Act =>
  (scene) =>
    scene.commit(...of);

/** The node's answer to a cancel, where it had made nothing. */
export const stopped = commit(0, { finishReason: "cancelled" });

export const fail =
  (reason: FailReason): Act =>
  (scene) =>
    scene.fail(reason);

export const lost: Act = (scene) => scene.lost();

/** The node is back on a fresh socket, with the attempt as given; without it where that is undefined. */
export const back =
  (...held: Parameters<LeaseScene["welcome"]>): Act =>
  (scene) =>
    scene.welcome(...held);

export const attach =
  (...wish: Parameters<LeaseScene["attach"]>): Act =>
  (scene) =>
    scene.attach(...wish);

export const detach: Act = (scene) => scene.detach();

export const cancel: Act = (scene) => scene.cancel();

/** The object's memory is gone, and its sockets with it. */
export const reset: Act = (scene) => scene.reset();

/** The object's memory is gone, and its node's socket stays. */
export const resetBehindSocket: Act = (scene) => scene.reset({ hasSocket: true });

export const silent: Act = (scene) => scene.setSilent(true);

export const wait =
  (ms: number): Act =>
  (scene) =>
    scene.advance(ms);

/** A scene after some acts. */
export function sceneOf(acts: readonly Act[], fields: Partial<LeaseTerms> = {}): LeaseScene {
  const scene = new LeaseScene(fields);
  for (const act of acts) act(scene);
  return scene;
}

/** What the book wanted done, but for what goes on by the way in every lease: keeping it, and acks. */
export function logOf(acts: readonly Act[], fields: Partial<LeaseTerms> = {}): string[] {
  return sceneOf(acts, fields).log.filter((line) => !/ (keep|send acked.*)$/.test(line));
}
