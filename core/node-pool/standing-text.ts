import type { Standing } from "./standing.ts";

/** Why a node gets work or none, as one or two sentences for its miner; at most 500 characters. */
export function standingText({ counts, ...standing }: Standing): string {
  const { members, freeSlots, waiting, leasesToAll, leasesToNode } = counts;
  const minute = `In the last minute ${leasesToAll} tasks went to ${members} nodes, ${leasesToNode} of them here.`;
  switch (standing.kind) {
    case "serving":
      return `It gets work. ${minute}`;
    case "busy":
      return `All its slots are taken, ${waiting} tasks wait. ${minute}`;
    case "idle_no_demand":
      return `It is ready, and nobody asks for this model now: ${freeSlots} slots of ${members} nodes are free.`;
    case "idle_others_sooner":
      return `It is ready, and other nodes were expected to give a first token sooner. ${minute}`;
    case "aside":
      return `Its socket broke too often within a minute, so it gets work only where no other node is left, until ${new Date(standing.untilMs).toISOString()}. Look at its network.`;
    case "silent":
      return "The pool has not heard of it for too long. It comes back with its next sign of life.";
    case "card_disagrees":
      return "It says of this model file what the catalogue or the nodes before it do not, so it gets none of this model's work. Update the node's software or take the file from the catalogue's source.";
    case "not_member":
      return "It is not in this model's pool: its socket is gone, or it is draining.";
  }
}
