import { expect, test } from "vitest";
import type { Standing } from "./standing.ts";
import { standingText } from "./standing-text.ts";

const counts = { members: 3, freeSlots: 5, waiting: 2, leasesToAll: 40, leasesToNode: 10 };

test.each<[guarantee: string, standing: Standing, says: RegExp]>([
  ["a serving node reads its share", { kind: "serving", counts }, /gets work.* 40 tasks.* 10 of them here/],
  ["a busy node reads how many wait", { kind: "busy", counts }, /slots are taken, 2 tasks wait/],
  ["an idle node reads that nobody asks", { kind: "idle_no_demand", counts }, /nobody asks for this model/],
  ["a slow node reads that others were sooner", { kind: "idle_others_sooner", counts }, /sooner/],
  ["a node put aside reads until when", { kind: "aside", untilMs: 0, counts }, /until 1970-01-01T00:00:00/],
  ["a silent node reads that it is", { kind: "silent", counts }, /not heard of it/],
  ["a node whose card is wrong reads what to do", { kind: "card_disagrees", counts }, /Update the node/],
  ["a node that is no member reads why", { kind: "not_member", counts }, /socket is gone, or it is draining/],
])("%s", (_guarantee, standing, says) => {
  const text = standingText(standing);
  expect(text).toMatch(says);
  expect(text.length).toBeLessThanOrEqual(500);
});
