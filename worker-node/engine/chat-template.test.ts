import { expect, test } from "vitest";
import {
  ChatTemplateError,
  chatMlTemplate,
  compileChatTemplate,
  foldConversation,
  plainTemplate,
} from "./chat-template.ts";
import type { TemplateMessage } from "./tool-turns.ts";

const system = (content: string): TemplateMessage => ({ role: "system", content });
const user = (content: string): TemplateMessage => ({ role: "user", content });
const assistant = (content: string): TemplateMessage => ({ role: "assistant", content });
const compile = (source: string) => compileChatTemplate({ source, bosText: "<s>", eosText: "</s>" });

/** As Gemma's: raises for system messages and for turns that don't alternate. */
const strict = `{{ bos_token }}{% if messages[0]['role'] == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}{% for message in messages %}{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('Conversation roles must alternate') }}{% endif %}[{{ message['role'] }}]{{ message['content'] | trim }}{% endfor %}[model]`;
/** Shows no system message and says nothing about it. */
const silent = "{% for m in messages %}{% if m.role != 'system' %}[{{ m.role }}]{{ m.content }}{% endif %}{% endfor %}";
/** Takes one system message, at the front. */
const systemFirst = `{% for m in messages %}{% if m.role == 'system' and not loop.first %}{{ raise_exception('System message must be first') }}{% endif %}[{{ m.role }}]{{ m.content }}{% endfor %}`;

test.each<[guarantee: string, source: string, messages: TemplateMessage[], text: string]>([
  [
    "ChatML",
    chatMlTemplate,
    [system("S"), user("U")],
    "<|im_start|>system\nS<|im_end|>\n<|im_start|>user\nU<|im_end|>\n<|im_start|>assistant\n",
  ],
  ["a plain transcript", plainTemplate, [system("S"), user("U")], "<s>System: S\n\nUser: U\n\nAssistant:"],
  [
    "a template that refuses system messages gets them in the user's",
    strict,
    [system("S"), user("U")],
    "<s>[user]S\n\nU[model]",
  ],
  ["a template that drops system messages gets them in the user's", silent, [system("S"), user("U")], "[user]S\n\nU"],
  [
    "a template that wants turns to alternate gets neighbours joined",
    strict,
    [user("A"), user("B")],
    "<s>[user]A\n\nB[model]",
  ],
  [
    "a system message in the middle goes to the front where only that is taken",
    systemFirst,
    [user("A"), assistant("B"), system("S"), user("C")],
    "[system]S[user]A[assistant]B[user]C",
  ],
  [
    "contents are no template",
    chatMlTemplate,
    [user("{{ bos_token }}")],
    "<|im_start|>user\n{{ bos_token }}<|im_end|>\n<|im_start|>assistant\n",
  ],
])("%s", (_guarantee, source, messages, text) => {
  expect(compile(source).render({ messages })).toBe(text);
});

test("a conversation that the template refuses in every form is a ChatTemplateError with the template's words", () => {
  expect(() => compile(strict).render({ messages: [assistant("A"), user("B")] })).toThrow(ChatTemplateError);
  expect(() => compile(strict).render({ messages: [assistant("A"), user("B")] })).toThrow("roles must alternate");
});

test("a template that is no Jinja is a ChatTemplateError when it is compiled", () => {
  expect(() => compile("{% for %}")).toThrow(ChatTemplateError);
});

test("a system message after the last user message becomes a user message", () => {
  expect(foldConversation([user("A"), assistant("B"), system("S")], { keepSystem: false })).toEqual([
    user("A"),
    assistant("B"),
    user("S"),
  ]);
});

test("folding leaves the given messages as they are", () => {
  const messages = [user("A"), user("B")];
  foldConversation(messages, { keepSystem: true });
  expect(messages).toEqual([user("A"), user("B")]);
});
