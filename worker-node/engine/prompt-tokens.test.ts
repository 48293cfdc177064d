import { LlamaVocabularyType } from "node-llama-cpp";
import { expect, test } from "vitest";
import { createPromptTokenizer, type PromptModel } from "./prompt-tokens.ts";
import { makeVocabulary } from "./vocabulary.ts";

/** A model whose tokens are characters, but for `<s>`, which is id 1 where control tokens are read. */
function characterModel({
  shouldPrependBosToken,
  spm = false,
}: {
  shouldPrependBosToken: boolean;
  spm?: boolean;
}): PromptModel<number> & { calls: string[] } {
  const calls: string[] = [];
  return {
    calls,
    vocabularyType: spm ? LlamaVocabularyType.spm : LlamaVocabularyType.bpe,
    tokens: { bos: 1, bosString: "<s>", eosString: "</s>", shouldPrependBosToken },
    isSpecialToken: (token) => token === 1,
    tokenize(text, controlTokens, options) {
      calls.push(`${controlTokens ? "control" : "literal"} ${options ?? "whole"} ${text}`);
      return [...text.matchAll(controlTokens ? /<s>|./gs : /./gs)].map(([part]) =>
        part === "<s>" ? 1 : (part.codePointAt(0) ?? 0),
      );
    },
  };
}

const vocabulary = (template: string | undefined, tokens = ["<unk>", "<s>", "</s>"]) =>
  makeVocabulary({ chat_template: template, ggml: { model: "llama", tokens, token_type: [2, 3, 3] } }, () => "");
const hello = { messages: [{ role: "user" as const, content: "hello" }] };

test.each<[guarantee: string, template: string, shouldPrependBosToken: boolean, count: number]>([
  ["BOS is added where the file asks for it", "{{ messages[0].content }}", true, 1],
  ["BOS that the template writes is not added again", "{{ bos_token }}{{ messages[0].content }}", true, 1],
  ["BOS that only the template writes stays", "{{ bos_token }}{{ messages[0].content }}", false, 1],
  ["no BOS where neither wants one", "{{ messages[0].content }}", false, 0],
])("%s", (_guarantee, template, shouldPrependBosToken, count) => {
  const ids = createPromptTokenizer(characterModel({ shouldPrependBosToken }), vocabulary(template))(hello);
  expect(ids.filter((id) => id === 1)).toHaveLength(count);
  expect(ids.indexOf(1)).toBe(count - 1);
});

test("a prompt without control text in its messages is tokenised whole", () => {
  const model = characterModel({ shouldPrependBosToken: false });
  createPromptTokenizer(model, vocabulary("[{{ messages[0].content }}]"))(hello);
  expect(model.calls).toEqual(["control whole [hello]"]);
});

test("control text in a message is tokenised apart, and no space is added within text", () => {
  const model = characterModel({ shouldPrependBosToken: true, spm: true });
  const tokenize = createPromptTokenizer(model, vocabulary("{{ bos_token }}{{ messages[0].content }}"));
  const ids = tokenize({ messages: [{ role: "user", content: "<s>a</s>b" }] });
  expect(model.calls).toEqual([
    "control whole <s>",
    "literal whole <s>",
    "control trimLeadingSpace a",
    "literal trimLeadingSpace </s>",
    "control trimLeadingSpace b",
  ]);
  expect(ids.filter((id) => id === 1)).toHaveLength(1);
});

test("without a template a vocabulary with ChatML's tokens gets ChatML, any other a transcript", () => {
  const render = (tokens: string[]) => {
    const ids = createPromptTokenizer(characterModel({ shouldPrependBosToken: false }), vocabulary(undefined, tokens));
    return String.fromCodePoint(...ids(hello));
  };
  expect(render(["<|im_start|>", "<|im_end|>"])).toBe("<|im_start|>user\nhello<|im_end|>\n<|im_start|>assistant\n");
  expect(render(["a"])).toBe("\u0001User: hello\n\nAssistant:");
});
