import type { LlamaModel, Token } from "node-llama-cpp";
import { z } from "zod";

/** `tokenizer.ggml.token_type` of the GGUF format. */
const tokenType = { unknown: 2, control: 3, userDefined: 4, unused: 5, byte: 6 } as const;

/** The parts of a GGUF file's tokenizer metadata that text is made from. */
const tokenizerMetadataSchema = z.object({
  chat_template: z.string().optional(),
  ggml: z.object({
    /** `gpt2` is byte-level BPE, `llama` is SentencePiece. */
    model: z.string(),
    tokens: z.array(z.string()),
    token_type: z.array(z.number()).optional(),
    add_space_prefix: z.boolean().optional(),
  }),
});
export type TokenizerMetadata = z.infer<typeof tokenizerMetadataSchema>;

/** What the engine knows of a model's tokens beyond what llama.cpp does with them. */
export interface Vocabulary {
  /** The file's own chat template, as Jinja text. */
  chatTemplate: string | undefined;
  /** Texts that llama.cpp reads as control tokens: in a message they must stay text. */
  controlTexts: ReadonlySet<string>;
  hasToken(text: string): boolean;
  /** The bytes a token adds to an answer; none for control tokens. */
  bytesOf(tokenId: number): Uint8Array;
  /** Every token's bytes in GPT-2's spelling, by id; empty for one that adds none to an answer. */
  spellings(): string[];
  /** Whether the detokeniser drops one space before the first token. */
  stripsLeadingSpace: boolean;
}

/** Reads the vocabulary of a loaded model; throws a `ZodError` where the file carries no tokenizer. */
export function readVocabulary(model: LlamaModel): Vocabulary {
  const metadata = tokenizerMetadataSchema.parse(model.fileInfo.metadata.tokenizer);
  const tokens: Token[] = [...model.iterateAllTokens()];
  return makeVocabulary(metadata, (tokenId) => {
    const token = tokens[tokenId];
    return token === undefined ? "" : model.detokenize([token]);
  });
}

/**
 * The vocabulary of a GGUF tokenizer. `detokenize` gives the text of one token for families whose token texts are
 * not known here (neither byte-level BPE nor SentencePiece).
 *
 * The bytes are taken from the file rather than from llama.cpp's detokeniser, which answers with whole characters
 * and, for some BPE files, removes spaces before punctuation (`clean_spaces`): right for no answer that holds code.
 */
export function makeVocabulary(metadata: TokenizerMetadata, detokenize: (tokenId: number) => string): Vocabulary {
  const { model: family, tokens: texts, token_type: types = [] } = metadata.ggml;
  const utf8 = new TextEncoder();
  const isControl = (id: number) => types[id] === tokenType.control || types[id] === tokenType.unknown;

  const vocabulary: Vocabulary = {
    chatTemplate: metadata.chat_template,
    controlTexts: new Set(texts.filter((text, id) => text !== "" && isControl(id))),
    hasToken: (text) => texts.includes(text),
    stripsLeadingSpace: metadata.ggml.add_space_prefix ?? family === "llama",
    bytesOf(tokenId) {
      const text = texts[tokenId];
      const type = types[tokenId];
      if (text === undefined || isControl(tokenId) || type === tokenType.unused) return new Uint8Array();
      if (type === tokenType.userDefined) return utf8.encode(text);
      const byte = type === tokenType.byte ? /^<0x([0-9A-F]{2})>$/i.exec(text)?.[1] : undefined;
      if (byte !== undefined) return Uint8Array.of(Number.parseInt(byte, 16));
      if (family === "gpt2") return byteLevelBytes(text);
      if (family === "llama") return utf8.encode(text.replaceAll("\u2581", " "));
      return utf8.encode(detokenize(tokenId));
    },
    spellings: () => texts.map((_, id) => [...vocabulary.bytesOf(id)].map((byte) => characterOfByte[byte]).join("")),
  };
  return vocabulary;
}

/** GPT-2's table of printable characters that stand for the 256 bytes (`bytes_to_unicode` in openai/gpt-2 `encoder.py`). */
const byteOfCharacter = new Map<string, number>();
const characterOfByte: string[] = [];
for (let byte = 0, moved = 0; byte < 256; byte++) {
  const printable = (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae;
  const character = String.fromCharCode(printable ? byte : 0x100 + moved++);
  byteOfCharacter.set(character, byte);
  characterOfByte.push(character);
}

/** The bytes of a byte-level BPE token; a character outside the table stands for itself. */
function byteLevelBytes(text: string): Uint8Array {
  const bytes: number[] = [];
  for (const character of text) {
    const byte = byteOfCharacter.get(character);
    if (byte === undefined) bytes.push(...new TextEncoder().encode(character));
    else bytes.push(byte);
  }
  return Uint8Array.from(bytes);
}
