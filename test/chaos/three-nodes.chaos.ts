import { afterAll, afterEach, beforeAll, expect } from "vitest";
import { describeBatchKills } from "./batch-kills.ts";
import { describeFaultsInARow } from "./faults-in-a-row.ts";
import { ChaosNetwork } from "./network.ts";
import { describePostgresDown } from "./postgres-down.ts";
import { describeStreamFaults } from "./stream-faults.ts";
import { describeTraces } from "./traces.ts";

let network: ChaosNetwork;
const getNetwork = () => network;

beforeAll(async () => {
  network = await ChaosNetwork.start({ nodes: 3 });
});
afterAll(() => network.stop());
afterEach(({ task }) => {
  if (task.result?.state === "fail") console.error(network.lastWords());
  expect(network.wireProblems).toEqual([]);
});

describeStreamFaults(getNetwork);
describeFaultsInARow(getNetwork);
describePostgresDown(getNetwork);
describeTraces(getNetwork);
describeBatchKills(getNetwork);
