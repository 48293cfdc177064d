import type { AccountId } from "../ids.ts";
import type { ChatMessage } from "../wire/task-input.ts";
import { hash64 } from "./hash64.ts";

/** Characters of a message that count. Two prompts that agree in so many share most of a node's cache anyway. */
const countedCharacters = 8_192;

/**
 * A name for a conversation, 16 hexadecimal digits, the same at each of its turns: a hash of the account, the system
 * messages before the first user message, and that message. Later turns repeat these and add to them, so that they are
 * just the prefix by which a node's KV cache knows the conversation; conversations that share a system message alone
 * have keys of their own. The text cannot be read out of it, so that a pool never sees a prompt.
 */
export function conversationKey({
  accountId,
  messages,
}: {
  accountId: AccountId;
  messages: readonly Pick<ChatMessage, "role" | "content">[];
}): string {
  const firstUser = messages.findIndex((message) => message.role === "user");
  const opening = messages.slice(0, Math.max(1, firstUser + 1)).filter(({ role }, index) => {
    return role === "system" || index === Math.max(0, firstUser);
  });
  // Lengths stand before the texts, so that no text can pass for the end of one and the begin of the next.
  const parts = opening.map(({ role, content }) => `${role}:${content.length}:${content.slice(0, countedCharacters)}`);
  const { high, low } = hash64([accountId, ...parts].join("\n"));
  return `${high.toString(16).padStart(8, "0")}${low.toString(16).padStart(8, "0")}`;
}
