import type { ModelCard } from "../../core/model/model-card.ts";
import type { TaskFrame } from "../../core/wire/router-frame.ts";
import { ChatStream } from "./chat-stream.ts";
import { chat } from "./deployment.ts";
import type { FakeNode } from "./fake-node.ts";

/** A story that every node tells alike: each piece is one token. */
export function storyOf(pieces: number): string {
  return Array.from({ length: pieces }, (_, number) => `${number} `).join("");
}

/** Token ids of the first pieces of the story. */
export function storyIds(pieces: number): number[] {
  return Array.from({ length: pieces }, (_, number) => 100 + number);
}

/** A node tells pieces `from` to `to` of the story, the last left out, as its pieces from `seq` on. */
export function tell(
  node: FakeNode,
  task: Pick<TaskFrame, "attemptId">,
  { from, to, seq = from }: { from: number; to: number; seq?: number },
): void {
  for (let number = from; number < to; number += 1) {
    node.delta(task, seq + number - from, { text: `${number} `, tokenIds: [100 + number] });
  }
}

/** Asks for a stream that ends with its counts. */
export function askStream(key: string, card: ModelCard): Promise<Response> {
  return chat(key, card, "Tell me a story", { stream: true, stream_options: { include_usage: true } });
}

/** A stream under way: its node has told so many pieces of the story, and its caller has them. */
export async function begunStream(
  key: string,
  card: ModelCard,
  { node, pieces }: { node: FakeNode; pieces: number },
): Promise<{ task: TaskFrame; stream: ChatStream }> {
  const asked = askStream(key, card);
  const task = await node.next("task");
  node.ack(task);
  tell(node, task, { from: 0, to: pieces });
  const stream = await ChatStream.of(asked);
  await stream.untilContent(storyOf(pieces));
  return { task, stream };
}

/** A whole answer under way: the router has so many pieces of the story, and its caller nothing. */
export async function begunWhole(
  key: string,
  card: ModelCard,
  { node, pieces }: { node: FakeNode; pieces: number },
): Promise<{ task: TaskFrame; asked: Promise<Response> }> {
  const asked = chat(key, card, "Tell me a story");
  const task = await node.next("task");
  node.ack(task);
  tell(node, task, { from: 0, to: pieces });
  await node.untilHeard();
  return { task, asked };
}
