import { createHash } from "node:crypto";
import { statSync } from "node:fs";
import { basename, extname } from "node:path";
import { type ModelHash, modelHashSchema } from "../../../core/ids.ts";
import { type ModelCard, type ModelKind, modelNameSchema } from "../../../core/model/model-card.ts";
import { hashFile } from "../../models/file-hash.ts";
import { readGguf } from "../../models/gguf-reader.ts";
import { addModel, slug } from "../../models/store.ts";
import type { Upstream } from "./upstream.ts";
import { UpstreamRefusedError } from "./upstream-error.ts";

/** Which model a node says that it serves, and how it is described. */
export type UpstreamIdentity = Pick<ModelCard, "name" | "fileSha256" | "sizeBytes" | "quantization" | "architecture">;

/** What stands in a card for what an upstream does not tell. */
const untold = "openai-upstream";

/**
 * The identity of an upstream's model (decision 14): that of `modelFile` where it is given, which is hashed and, where
 * it is a GGUF, must have as many tokens as the upstream's model and be of its kind; else one made of the upstream's own
 * words. Throws `ModelError` for the file, and `UpstreamRefusedError` `another_file`.
 */
export async function identifyModel({
  upstream,
  model,
  kind,
  modelFile,
  cacheDir,
}: {
  upstream: Upstream;
  model: string;
  kind: ModelKind;
  modelFile: string | undefined;
  cacheDir: string;
}): Promise<UpstreamIdentity> {
  if (modelFile === undefined) {
    const fileSha256 = hashOfWords({ model, fingerprint: upstream.fingerprint });
    const sizeBytes = upstream.sizeBytes ?? 1;
    return { name: nameOf(model), fileSha256, sizeBytes, quantization: untold, architecture: untold };
  }
  if (extname(modelFile).toLowerCase() !== ".gguf") {
    const fileSha256 = await hashFile(modelFile);
    const sizeBytes = statSync(modelFile).size;
    return { name: nameOf(model), fileSha256, sizeBytes, quantization: untold, architecture: untold };
  }
  const described = readGguf(modelFile, { vocabulary: true });
  const fileTokens = described.vocabulary?.tokens.length;
  if (described.kind !== kind || fileTokens !== upstream.vocabularyTokens) {
    const message =
      `${modelFile} is a model for ${described.kind} with ${fileTokens} tokens, and ${model} of the upstream one for ` +
      `${kind} with ${upstream.vocabularyTokens}. Give the file that the upstream has loaded, or leave --model-file out.`;
    throw new UpstreamRefusedError("another_file", message);
  }
  const { name, fileSha256, sizeBytes, quantization, architecture } = await addModel(modelFile, { cacheDir });
  return { name, fileSha256, sizeBytes, quantization, architecture };
}

/**
 * SHA-256 of four lines: `openai-upstream`, `1`, the model's name at the upstream, and what the upstream says of its
 * weights. Two upstreams that say the same are the same model to the network.
 */
export function hashOfWords({ model, fingerprint }: { model: string; fingerprint: string }): ModelHash {
  const text = ["openai-upstream", "1", model, fingerprint].join("\n");
  return modelHashSchema.parse(createHash("sha256").update(text).digest("hex"));
}

/** `/models/Qwen2.5-7B.gguf` as `qwen2.5-7b`. */
function nameOf(model: string): ModelCard["name"] {
  const name = modelNameSchema.safeParse(slug(basename(model).replace(/\.gguf$/i, ""))).data;
  if (name !== undefined) return name;
  const message = `The upstream's model ${model} has no name that can be used. Give it an alias there.`;
  throw new UpstreamRefusedError("no_such_model", message);
}
