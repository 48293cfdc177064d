import { readFileSync, writeFileSync } from "node:fs";
import { writeTinyChatModel } from "../../test/models/tiny-gguf.ts";
import { byteAlphabet, tinyChatVocabulary } from "../../test/models/tiny-vocabulary.ts";
import { readGgufHeader } from "../models/gguf-header.ts";

/** Characters that the model writes, of two, three and four bytes; each byte is a token of its own. */
const characters = ["é", "猫", "😀"];

/** How strongly a byte calls for the next of its character: far above every other logit. */
const pull = 6;

/**
 * Writes the tiny chat model of `seed` changed so that its answers hold characters of several bytes among the ASCII,
 * and now and then half of one, which becomes U+FFFD. The same seed gives the same bytes on every machine.
 */
export function writeMultiByteChatModel(path: string, { seed }: { seed: number }): void {
  writeTinyChatModel(path, { seed });
  const file = readFileSync(path);
  const embeddings = matrixRows(path, file, "token_embd.weight");
  const outputs = matrixRows(path, file, "output.weight");
  for (const [place, character] of characters.entries()) {
    const [first, ...following] = [...new TextEncoder().encode(character)].map(tokenOfByte);
    if (first === undefined) continue;
    // The first byte is as likely as the letter whose row it takes, read backwards; the row's first place is a bias.
    const letter = [...outputs(tokenOfByte("aeo".charCodeAt(place)))];
    outputs(first).set([0, ...letter.slice(1).reverse()]);
    let before = first;
    for (const token of following) {
      const embedding = embeddings(before).subarray(1);
      const length = Math.hypot(...embedding);
      outputs(token).set([-6, ...embedding.map((value) => (value * pull) / length)]);
      before = token;
    }
  }
  writeFileSync(path, file);
}

function tokenOfByte(byte: number): number {
  return tinyChatVocabulary.tokens.indexOf(byteAlphabet[byte] ?? "");
}

/** The rows of a float32 matrix in the file's bytes, by token id; writing to a row writes to the bytes. */
function matrixRows(path: string, file: Buffer, name: string): (tokenId: number) => Float32Array {
  const tensor = readGgufHeader(path).tensors.find((candidate) => candidate.name === name);
  const [width = 0] = tensor?.shape ?? [];
  if (tensor === undefined || width === 0) throw new Error(`the tiny model has no ${name}`);
  return (tokenId) => new Float32Array(file.buffer, file.byteOffset + tensor.offsetBytes + tokenId * width * 4, width);
}
