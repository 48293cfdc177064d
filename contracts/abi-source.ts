import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { runForge } from "./forge.ts";

/** Where the generated file stands, from this folder. */
export const abiFile = "abi/node-registry.ts";

const contractArtifact = z.object({ abi: z.array(z.json()).min(1) });
const enumArtifact = z.object({
  ast: z.object({
    nodes: z.array(
      z.object({ name: z.string().optional(), members: z.array(z.object({ name: z.string() })).optional() }),
    ),
  }),
});

/**
 * Compiles the contracts (not their tests) into `outDirectory` and gives the text of {@link abiFile}.
 *
 * Both directories may be empty or hold an earlier build. Throws the compiler's messages where it does not compile.
 */
export async function abiSource(directories: { outDirectory: string; cacheDirectory: string }): Promise<string> {
  const { exitCode, stdout, stderr } = await runForge(
    ["build", "src", "--force", "--out", directories.outDirectory, "--cache-path", directories.cacheDirectory],
    { output: "captured" },
  );
  if (exitCode !== 0) throw new Error(`The contracts do not compile.\n${stderr.trim() || stdout.trim()}`);

  const read = async (...path: string[]): Promise<unknown> =>
    JSON.parse(await readFile(join(directories.outDirectory, ...path), "utf8"));
  const { abi } = contractArtifact.parse(await read("NodeRegistry.sol", "NodeRegistry.json"));
  const { ast } = enumArtifact.parse(await read("Node.sol", "Node.json"));
  const states = ast.nodes.find((node) => node.name === "NodeState")?.members ?? [];
  if (states.length === 0) throw new Error("src/types/Node.sol has no enum NodeState");

  return `// Generated from contracts/src by \`npm run build -w contracts\`: change it there.

/** ABI of NodeRegistry.sol. \`as const\`, so that viem reads every function, event and error from its type. */
export const nodeRegistryAbi = ${JSON.stringify(abi, null, 2)} as const;

/** What the number in a node's \`state\` means: the members of Solidity's NodeState in their order. */
export const nodeStates = ${JSON.stringify(states.map(({ name }) => name.toLowerCase()))} as const;
`;
}
