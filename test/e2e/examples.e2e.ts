import { execFileSync } from "node:child_process";
import { join, resolve } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { DevnetProcess, newFolder, projectNode } from "./devnet-process.ts";
import { ensurePython } from "./python.ts";

const examples = resolve(import.meta.dirname, "../../examples");
let devnet: DevnetProcess;
let python: string;

beforeAll(async () => {
  python = ensurePython();
  devnet = await DevnetProcess.start({
    folder: newFolder(),
    models: ["smollm2-135m-instruct", "all-minilm-l6-v2"],
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

test("the Python example does what it says", () => {
  expect(run(python, [join(examples, "chat.py")])).toMatch(/Paris/);
});
