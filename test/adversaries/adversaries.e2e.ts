import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { CheatName } from "./cheats.ts";
import { HostileNetwork } from "./hostile-network.ts";

/** As many operators as five words on an answer take, and one more. */
const honestNodes = 5;
/** On a busy machine of two cores; a free one needs a fifth. */
const foundWithinMs = 170_000;

describe("nodes whose every answer is a cheat", () => {
  const cheats: CheatName[] = [
    ...(["other-model", "canned", "copied", "truncated", "wrong-counts"] as const),
    ...(["garbage", "forged-ids", "other-temperature", "other-seed", "other-system-prompt"] as const),
  ];
  let network: HostileNetwork;
  beforeAll(async () => {
    network = await HostileNetwork.start({ honest: honestNodes, cheats });
  });
  afterAll(() => network?.stop());

  test.each(cheats)("%s is suspended", async (cheat) => {
    const trust = await network.untilFound(cheat, ({ suspended }) => suspended, foundWithinMs);
    expect(trust).toMatchObject({ suspended: true, validates: false });
  });

  test("no honest node is suspended, and callers are served all the while", () => expectHonestUnharmed(network));
});

describe("nodes that cheat now and then, or when they check others", () => {
  const cheats: CheatName[] = [
    ...(["mixed", "when-unwatched", "lazy-validator", "lying-validator", "colluder", "accomplice"] as const),
  ];
  let network: HostileNetwork;
  beforeAll(async () => {
    network = await HostileNetwork.start({ honest: honestNodes, cheats });
  });
  afterAll(() => network?.stop());

  test.each(["colluder", "when-unwatched", "mixed"] as const)("%s is suspended", async (cheat) => {
    await network.untilFound(cheat, ({ suspended }) => suspended, foundWithinMs);
  });

  test.each(["lying-validator", "lazy-validator"] as const)("%s is asked for no more checks", async (cheat) => {
    await network.untilFound(cheat, ({ validates }) => !validates, foundWithinMs);
  });

  test("no honest node is suspended, and callers are served all the while", () => expectHonestUnharmed(network));
});

async function expectHonestUnharmed(network: HostileNetwork): Promise<void> {
  for (const [name, trust] of await network.honestTrust()) {
    expect({ name, ...trust }).toMatchObject({ suspended: false, validates: true });
  }
  expect(network.problems).toEqual([]);
  expect(network.answered).toBeGreaterThan(50);
}
