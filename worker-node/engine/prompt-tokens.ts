import { LlamaVocabularyType } from "node-llama-cpp";
import {
  type ChatTemplate,
  ChatTemplateError,
  chatMlTemplate,
  compileChatTemplate,
  plainTemplate,
} from "./chat-template.ts";
import { hideControlText, type PromptPart } from "./control-text.ts";
import { type Conversation, nativeConversation, type TemplateConversation, textConversation } from "./tool-turns.ts";
import type { Vocabulary } from "./vocabulary.ts";

/** Turns a conversation into the ids of a prompt, ready to be read by the model; throws `ChatTemplateError`. */
export type PromptTokenizer<Token extends number> = (conversation: Conversation) => Token[];

/** What of a `LlamaModel` makes prompts. */
export interface PromptModel<Token extends number> {
  readonly vocabularyType: LlamaVocabularyType;
  readonly tokens: {
    readonly bos: Token | null;
    readonly bosString: string | null;
    readonly eosString: string | null;
    readonly shouldPrependBosToken: boolean;
  };
  /** Ids of a text without BOS and EOS; with `controlTokens` their texts are read as such. */
  tokenize(text: string, controlTokens: boolean, options?: "trimLeadingSpace"): Token[];
  isSpecialToken(token: Token | undefined): boolean;
}

/**
 * The prompt tokeniser of a chat model: its own template, else ChatML where the vocabulary has `<|im_start|>`, else
 * a plain transcript.
 *
 * The rendered prompt is tokenised whole, as a reference tokeniser would, unless a message contains the text of a
 * control token: then that text alone is tokenised apart, as mere text. User-defined tokens (`<think>`) are read as
 * tokens wherever they stand, as llama.cpp and Hugging Face's tokenizers do. BOS comes first exactly once, if the
 * file asks for it or the template writes it.
 *
 * A template that knows tools is given them; for others, and where the template refuses the turns as they are, the tools
 * are explained in words.
 */
export function createPromptTokenizer<Token extends number>(
  model: PromptModel<Token>,
  vocabulary: Vocabulary,
): PromptTokenizer<Token> {
  const template = chooseTemplate(model, vocabulary);
  const { bos, shouldPrependBosToken } = model.tokens;
  const idsOf = (conversation: TemplateConversation): Token[] => {
    const hidden = hideControlText(conversation, vocabulary.controlTexts);
    const rendered = template.render(hidden.conversation);
    const ids = hidden.found ? tokenizeParts(model, hidden.restore(rendered)) : model.tokenize(rendered, true);
    if (shouldPrependBosToken && bos !== null && ids[0] !== bos) ids.unshift(bos);
    return ids;
  };
  return (conversation) => {
    const text = () => idsOf(textConversation(conversation));
    if (!template.knowsTools) return text();
    try {
      return idsOf(nativeConversation(conversation));
    } catch (error) {
      if (error instanceof ChatTemplateError) return text();
      throw error;
    }
  };
}

function chooseTemplate(model: PromptModel<number>, vocabulary: Vocabulary): ChatTemplate {
  const fallback = vocabulary.hasToken("<|im_start|>") ? chatMlTemplate : plainTemplate;
  return compileChatTemplate({
    source: vocabulary.chatTemplate ?? fallback,
    bosText: model.tokens.bosString ?? "",
    eosText: model.tokens.eosString ?? "",
  });
}

/**
 * Tokenises part by part. SentencePiece puts a space before every text it is given; after a part that ended in text
 * that space isn't part of the prompt and is trimmed.
 */
function tokenizeParts<Token extends number>(model: PromptModel<Token>, parts: readonly PromptPart[]): Token[] {
  const ids: Token[] = [];
  for (const { text, literal } of parts) {
    const followsText = ids.length > 0 && !model.isSpecialToken(ids.at(-1));
    const trim = followsText && model.vocabularyType === LlamaVocabularyType.spm;
    for (const id of model.tokenize(text, !literal, trim ? "trimLeadingSpace" : undefined)) ids.push(id);
  }
  return ids;
}
