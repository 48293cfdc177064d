import { execFileSync, spawnSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { DevnetProcess, newFolder, nodeScript, projectNode } from "./devnet-process.ts";
import { ensurePython } from "./python.ts";

const examples = resolve(import.meta.dirname, "../../examples");
let devnet: DevnetProcess;
let python: string;

beforeAll(async () => {
  python = ensurePython();
  devnet = await DevnetProcess.start({
    folder: newFolder(),
    models: ["smollm2-135m-instruct", "all-minilm-l6-v2"],
    // Each has an operator of its own, so that one can check what the other says.
    nodes: 2,
    cache: "shared",
  });
});
afterAll(() => devnet.remove());

function run(command: string, args: readonly string[]): string {
  const env = { ...process.env, OPENAI_BASE_URL: devnet.baseUrl, OPENAI_API_KEY: devnet.apiKey };
  return execFileSync(command, [...args], { cwd: examples, env, encoding: "utf8" });
}

test.each<[file: string, args: string[], expected: RegExp]>([
  ["chat.ts", [], /Paris/],
  ["stream.ts", ["Count to five."], /\d+ tokens in, \d+ out/],
  ["tools.ts", [], /^called get_weather for .+\n.+/],
  ["structured-output.ts", [], /"size": "(small|large)"/],
  ["batch.ts", [], /^completed .*total: 4, completed: 4, failed: 0[\s\S]*^Cairo: /m],
  ["responses.ts", [], /Paris[\s\S]*\n.+/],
  ["anthropic.ts", [], /Paris[\s\S]*(end_turn|max_tokens): \d+ tokens in, \d+ out/],
  ["langchain.ts", [], /name: .*age: \d+/],
  ["ai-sdk.ts", [], /Paris[\s\S]*\d+ tokens/],
  ["embeddings-search.ts", ["What shall we cook?"], /^0\.\d{3} Stir the soup/],
])("the example %s does what it says", (file, args, expected) => {
  expect(run(projectNode, [join(examples, file), ...args])).toMatch(expected);
});

test("a checked answer comes with evidence that one's own machine confirms, and disputes where it was altered", () => {
  const file = join(newFolder(), "answer.json");
  const said = run(projectNode, [join(examples, "checked-answer.ts"), file]);
  expect(said).toMatch(/Paris[\s\S]*trust: 'checked',\s+verdict: 'valid'/);
  const replay = () => spawnSync(projectNode, [nodeScript, "receipt", "replay", file], { encoding: "utf8" });
  const honest = replay();
  expect([honest.status, honest.stdout]).toEqual([0, expect.stringMatching(/plausible/)]);
  const answer = JSON.parse(readFileSync(file, "utf8"));
  // The same tokens, claimed to be of another seed and temperature.
  Object.assign(answer.network.evidence.input.sampling, { temperature: 2, seed: 12_345 });
  writeFileSync(file, JSON.stringify(answer));
  const altered = replay();
  expect([altered.status, altered.stdout]).toEqual([1, expect.stringMatching(/implausible/)]);
});

test("the Python example does what it says", () => {
  expect(run(python, [join(examples, "chat.py")])).toMatch(/Paris/);
});
