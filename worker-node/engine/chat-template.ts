import { Template } from "@huggingface/jinja";
import { nativeConversation, type TemplateConversation, type TemplateMessage } from "./tool-turns.ts";
import { UnsupportedTaskError } from "./unsupported-task-error.ts";

/** For files without a template whose vocabulary has ChatML's tokens. */
export const chatMlTemplate = `{% for message in messages %}<|im_start|>{{ message.role }}
{{ message.content }}<|im_end|>
{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant
{% endif %}`;

/** For files with neither a template nor ChatML's tokens: a transcript that any language model can continue. */
export const plainTemplate = `{{ bos_token }}{% for message in messages %}{{ message.role | capitalize }}: {{ message.content }}

{% endfor %}{% if add_generation_prompt %}Assistant:{% endif %}`;

/** The model's template can't express this conversation, in no order of roles that says the same. */
export class ChatTemplateError extends UnsupportedTaskError {
  override readonly name = "ChatTemplateError";
}

export interface ChatTemplate {
  /** True where the template shows tools, calls and results, and the calls as answers have them (docs/WIRE.md). */
  readonly knowsTools: boolean;
  /** The prompt's text up to where the assistant speaks; throws `ChatTemplateError`. */
  render(conversation: TemplateConversation): string;
}

/**
 * Compiles a Jinja chat template (`tokenizer.chat_template`) as Hugging Face's `apply_chat_template` would.
 *
 * Whether the template shows system messages is tried once with a probe: some raise, some drop them silently. Where
 * it doesn't, and where it raises on the order of roles, system messages are folded into the user message that
 * follows and neighbours of one role are joined, since that says the same to the model. Throws
 * `ChatTemplateError` where the template itself can't be read.
 */
export function compileChatTemplate({
  source,
  bosText,
  eosText,
}: {
  source: string;
  bosText: string;
  eosText: string;
}): ChatTemplate {
  const template = attempt(() => new Template(source), "The model's chat template is not valid Jinja");
  const renderOnce = ({ messages, tools }: TemplateConversation): string =>
    template.render({
      messages: messages.map((message) => ({ ...message })),
      ...(tools === undefined ? {} : { tools }),
      add_generation_prompt: true,
      bos_token: bosText,
      eos_token: eosText,
    });
  const takesSystem = showsSystemMessage(renderOnce);

  return {
    knowsTools: showsTools(renderOnce),
    render(conversation) {
      const { messages } = conversation;
      const folded = foldConversation(messages, { keepSystem: takesSystem });
      const dropsSystem = !takesSystem && messages.some((message) => message.role === "system");
      if (!dropsSystem) {
        try {
          return renderOnce(conversation);
        } catch (cause) {
          if (isSame(messages, folded)) throw refusal("The model's chat template refuses this conversation", cause);
        }
      }
      return attempt(
        () => renderOnce({ ...conversation, messages: folded }),
        "The model's chat template refuses this conversation",
      );
    },
  };
}

/**
 * The same conversation in user and assistant turns that alternate: neighbours of one role are joined by an empty
 * line. With `keepSystem` all system messages become one, at the front; without, each stands at the head of the user
 * message that follows it (or becomes one at the end).
 */
export function foldConversation(
  messages: readonly TemplateMessage[],
  { keepSystem }: { keepSystem: boolean },
): TemplateMessage[] {
  const folded: TemplateMessage[] = [];
  const add = (message: TemplateMessage) => {
    const last = folded.at(-1);
    if (last?.role === message.role) last.content = `${last.content}\n\n${message.content}`;
    else folded.push({ ...message });
  };
  if (keepSystem) {
    for (const message of messages) if (message.role === "system") add(message);
    for (const message of messages) if (message.role !== "system") add(message);
    return folded;
  }
  let pending: string[] = [];
  for (const message of messages) {
    if (message.role === "system") pending.push(message.content);
    else if (message.role === "user") {
      add({ ...message, content: [...pending, message.content].join("\n\n") });
      pending = [];
    } else add(message);
  }
  if (pending.length > 0) add({ role: "user", content: pending.join("\n\n") });
  return folded;
}

/** Whether a system message comes through; a template that raises doesn't take one. */
function showsSystemMessage(render: (conversation: TemplateConversation) => string): boolean {
  const probe = "system-probe-4711";
  try {
    return render({
      messages: [
        { role: "system", content: probe },
        { role: "user", content: "hello" },
      ],
    }).includes(probe);
  } catch {
    return false;
  }
}

/**
 * Whether tools, a call and its result come through, and the call in the form that is forced on answers. A model that was
 * taught another form of calls is told of this one in words.
 */
function showsTools(render: (conversation: TemplateConversation) => string): boolean {
  const probes = ["tool-probe-4711", "call-probe-4712", "result-probe-4713", "<tool_call>"];
  const conversation = nativeConversation({
    tools: [{ name: "tool-probe-4711", parameters: { type: "object", properties: {} }, isStrict: false }],
    messages: [
      { role: "user", content: "hello" },
      { role: "assistant", content: "", toolCalls: [{ id: "call_1", name: "call-probe-4712", arguments: "{}" }] },
      { role: "tool", content: "result-probe-4713", toolCallId: "call_1" },
    ],
  });
  try {
    const rendered = render(conversation);
    return probes.every((probe) => rendered.includes(probe));
  } catch {
    return false;
  }
}

function isSame(left: readonly TemplateMessage[], right: readonly TemplateMessage[]): boolean {
  return left.length === right.length && left.every((message, index) => message.content === right[index]?.content);
}

function attempt<T>(action: () => T, message: string): T {
  try {
    return action();
  } catch (cause) {
    throw refusal(message, cause);
  }
}

function refusal(message: string, cause: unknown): ChatTemplateError {
  const problem = cause instanceof Error ? cause.message : String(cause);
  return new ChatTemplateError(`${message}: ${problem}`, { param: "messages", cause });
}
