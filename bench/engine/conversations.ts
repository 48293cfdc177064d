import type { ChatMessage } from "../../core/wire/task-input.ts";

/** Things to tell a story of; a small model tells it at length and doesn't end by itself within a few hundred tokens. */
const subjects = [
  "a lighthouse keeper and a storm",
  "a town at the edge of a desert",
  "two sisters who build a boat",
  "a clockmaker and his apprentice",
  "a train that never stops",
  "an island of birds",
  "a doctor in the mountains",
  "a library under the sea",
] as const;

/**
 * As many short conversations as asked for. Each begins with words that no other `round` or place has, so that no
 * engine has read any of it before.
 */
export function storyConversations({ round, count }: { round: number; count: number }): ChatMessage[][] {
  return Array.from({ length: count }, (_, place): ChatMessage[] => [
    { role: "system", content: `${round}-${place}. You are a writer of long stories.` },
    { role: "user", content: `Write a very long story about ${subjects[place % subjects.length]}.` },
  ]);
}

/** About 1,500 tokens in a small model's vocabulary. */
const historyParagraphs = 27;

/** A long first turn that no engine has read before: a record of a place, and a question about it. */
export function longConversation(round: string): ChatMessage[] {
  const paragraphs = Array.from({ length: historyParagraphs }, (_, day) => {
    const subject = subjects[day % subjects.length];
    return (
      `Day ${day + 1}. In the morning the wind came from the west and we read about ${subject}. In the afternoon ` +
      `we counted ${(day * 37) % 101} boats, wrote to the harbour master, and mended the nets until the evening.`
    );
  });
  return [
    { role: "system", content: `${round}. You answer questions about a diary.` },
    { role: "user", content: `${paragraphs.join("\n\n")}\n\nWhat happened on these days?` },
  ];
}

/** The next turn of a conversation after its answer. */
export function followUp(messages: readonly ChatMessage[], answer: string): ChatMessage[] {
  return [
    ...messages,
    { role: "assistant", content: answer },
    { role: "user", content: "And what was the weather like?" },
  ];
}
