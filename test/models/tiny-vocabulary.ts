/**
 * GPT-2's spelling of bytes as visible characters: index is the byte. Bytes that print as themselves stay, all others
 * become U+0100 and up in order. Source: `bytes_to_unicode` of GPT-2's encoder.
 */
export const byteAlphabet: readonly string[] = (() => {
  const printsItself = (byte: number) =>
    (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || (byte >= 0xae && byte <= 0xff);
  let next = 0x100;
  return Array.from({ length: 256 }, (_, byte) => String.fromCharCode(printsItself(byte) ? byte : next++));
})();

/** Pairs that become one token, in order of preference; `Ġ` is a space. A pair's parts are tokens before it. */
const merges = (
  "Ġ t|h e|i n|e r|a n|o n|r e|a t|e n|o r|e s|i s|i t|a r|t h|o u|n d|a l|s t|Ġ a|Ġ w|Ġ s|Ġ o|Ġ c|Ġ b|Ġ f|Ġ m|Ġ p|" +
  "Ġ d|Ġ h|Ġ i|Ġt he|in g|an d|i on|t o|o f|e d|l y|l l|s e|m e|v e|n o|l e|c h|s h|w h|e a|o o|e e|a y|u r|u n|" +
  "Ġa nd|Ġo f|Ġt o|Ġi n|Ġi s|Ġth at|Ġw as|Ġf or|Ġb e|Ġw ith|Ġs he|Ġc on|Ġh e|Ġy ou|Ġt ime|Ġd ay|at ion|m ent|Ġ l|Ġ n"
).split("|");

const special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"] as const;

function withMerges() {
  const known = new Set<string>([...special, ...byteAlphabet]);
  const usable = merges.filter((merge) => {
    const [left = "", right = ""] = merge.split(" ");
    if (!known.has(left) || !known.has(right)) return false;
    known.add(left + right);
    return true;
  });
  return { tokens: [...known], merges: usable };
}

/** Three control tokens, the 256 bytes, then the merged tokens. */
export const tinyChatVocabulary = { ...withMerges(), special: { textEnd: 0, turnStart: 1, turnEnd: 2 } } as const;

const letters = [..."abcdefghijklmnopqrstuvwxyz0123456789"];
const words = "the a an is was of to in and that it for on with day person happy sunny very dog cat house".split(" ");

/** Word pieces as in a `vocab.txt`: every letter and digit at a word's start and within it, signs, some words. */
export const tinyBertVocabulary: readonly string[] = [
  ...["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"],
  ...[...".,;:!?'\"()-/"],
  ...letters,
  ...letters.map((letter) => `##${letter}`),
  ...words.filter((word) => word.length > 1),
  ...["##ing", "##ed", "##er", "##ly"],
];
