import { defaultHomeDir } from "../home.ts";
import { isNodeRunning, readNodeStatus } from "../status-file.ts";

/** Prints how the node of this home fares. Exit code 0 where it is connected and takes work, 1 otherwise. */
export function status({
  homeDir = defaultHomeDir(),
  out,
}: {
  homeDir?: string | undefined;
  out: (line: string) => void;
}): number {
  const known = readNodeStatus(homeDir);
  if (known === undefined) {
    out(`No node has run from ${homeDir} yet. Start one: cortensor-node start --router URL --token inv-…`);
    return 1;
  }
  const isRunning = isNodeRunning(known, Date.now());
  const state =
    isRunning || known.state === "stopped" || known.state === "refused" ? known.state : "gone without a word";
  const lines: [string, string][] = [
    ["node", `${known.nodeId} (${known.name})`],
    ["state", isRunning ? `${state}, process ${known.pid}` : state],
    ["router", known.routerUrl],
    ["operator", known.operator ?? "not yet known: the router has not taken the node in"],
    [
      "models",
      known.models
        .map((model) => `${model.name} (${model.slots} slots, ${model.tokensPerSecond} tokens/s)`)
        .join(", ") || "none loaded",
    ],
    [
      "work",
      `${known.running} running, ${known.tasksDone} done, ${known.tasksFailed} failed, ${known.tokensOut} tokens out`,
    ],
    ["since", new Date(known.startedAtMs).toISOString()],
  ];
  if (known.problem !== null) lines.push(["problem", known.problem]);
  for (const [label, text] of lines) out(`${label.padEnd(9)}${text}`);
  return isRunning && known.state === "active" ? 0 : 1;
}
