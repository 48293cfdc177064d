import { readGgufFileInfo } from "node-llama-cpp";
import { z } from "zod";
import { makeVocabulary } from "../../worker-node/engine/vocabulary.ts";

const tokenizerSchema = z.object({
  ggml: z.object({ model: z.literal("gpt2"), tokens: z.array(z.string()), token_type: z.array(z.number()) }),
});

/**
 * How token ids of this GGUF file read as text: all their bytes joined, as UTF-8. Nothing is held back or cut on the
 * way, so the text of an answer is that of its ids, however many nodes made it. Takes byte-level BPE files.
 */
export async function readTokenText(modelPath: string): Promise<(ids: readonly number[]) => string> {
  const { metadata } = await readGgufFileInfo(modelPath, { readTensorInfo: false, logWarnings: false });
  const { bytesOf } = makeVocabulary(tokenizerSchema.parse(metadata.tokenizer), () => "");
  return (ids) => Buffer.concat(ids.map((id) => bytesOf(id))).toString("utf8");
}
