import type { Evidence } from "../../core/commitment/evidence.ts";
import { catalogue } from "../../core/model/catalogue.ts";
import { hashFile } from "../models/file-hash.ts";
import { readGguf } from "../models/gguf-reader.ts";
import { listRecords } from "../models/model-record.ts";
import { resolveModel } from "../models/store.ts";
import { ReceiptError } from "./receipt-error.ts";

/** A file of the answer's model, and how long a text that was trained for. */
export interface FoundModel {
  path: string;
  trainedContextTokens: number;
}

/**
 * The file that the answer's model is: the one at `path`, which is hashed, or one that this machine holds. Throws
 * {@link ReceiptError} `another_model` and `model_missing`, and `ModelError` where a file cannot be read.
 */
export async function findModel(
  { model }: Pick<Evidence, "model">,
  { path, cacheDir }: { path: string | undefined; cacheDir: string },
): Promise<FoundModel> {
  if (path !== undefined) {
    const { trainedContextTokens } = readGguf(path);
    const fileSha256 = await hashFile(path);
    if (fileSha256 === model.fileSha256) return { path, trainedContextTokens };
    const message = `${path} is another file (SHA-256 ${fileSha256}): the answer is of ${model.name}, ${model.fileSha256}.`;
    throw new ReceiptError("another_model", message);
  }
  const record = (await listRecords(cacheDir)).find(({ fileSha256 }) => fileSha256 === model.fileSha256);
  if (record !== undefined) return resolveModel(record.name, { cacheDir });
  const known = catalogue.find(({ fileSha256 }) => fileSha256 === model.fileSha256);
  const howToGet =
    known === undefined
      ? `Get the GGUF with SHA-256 ${model.fileSha256} and run \`cortensor-node models add FILE\`, or give it with --model.`
      : `Run \`cortensor-node models pull ${known.name}\`.`;
  throw new ReceiptError("model_missing", `This machine does not hold ${model.name}. ${howToGet}`);
}
