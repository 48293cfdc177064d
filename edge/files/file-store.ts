import { limits } from "../../core/limits.ts";
import { Refusal } from "../../core/refusal.ts";
import type { Env } from "../env.ts";

/** Where the bytes of files are. A key that nobody wrote to has none. */
export interface FileStore {
  /** Writes a file as its bytes come and resolves with its size. A failed one leaves nothing behind. */
  put(key: string, bytes: AsyncIterable<Uint8Array>): Promise<number>;
  get(key: string): Promise<ReadableStream<Uint8Array> | undefined>;
  remove(key: string): Promise<void>;
}

/** R2's parts but the last have one size, at least 5 MiB. */
const partBytes = 8 * 1024 * 1024;

/** The deployment's bucket; without one, the directory that a local network has in its place. */
export function fileStoreOf({ FILES, FILES_DIRECTORY }: Env): FileStore {
  if (FILES !== undefined) return new BucketStore(FILES);
  if (FILES_DIRECTORY !== undefined) return new DirectoryStore(FILES_DIRECTORY);
  throw new Refusal({
    code: "unsupported_parameter",
    message: "This deployment keeps no files: its operator binds an R2 bucket as FILES to have files and batches.",
  });
}

class BucketStore implements FileStore {
  readonly #bucket: R2Bucket;

  constructor(bucket: R2Bucket) {
    this.#bucket = bucket;
  }

  async put(key: string, bytes: AsyncIterable<Uint8Array>): Promise<number> {
    const upload = await this.#bucket.createMultipartUpload(key);
    const parts: R2UploadedPart[] = [];
    const part = new Uint8Array(partBytes);
    let filled = 0;
    let sizeBytes = 0;
    try {
      for await (const chunk of counted(bytes)) {
        for (let from = 0; from < chunk.byteLength; ) {
          const taken = chunk.subarray(from, from + partBytes - filled);
          part.set(taken, filled);
          filled += taken.byteLength;
          from += taken.byteLength;
          if (filled < partBytes) continue;
          parts.push(await upload.uploadPart(parts.length + 1, part));
          filled = 0;
        }
        sizeBytes += chunk.byteLength;
      }
      if (filled > 0 || parts.length === 0) {
        parts.push(await upload.uploadPart(parts.length + 1, part.subarray(0, filled)));
      }
      await upload.complete(parts);
      return sizeBytes;
    } catch (error) {
      await upload.abort();
      throw error;
    }
  }

  async get(key: string): Promise<ReadableStream<Uint8Array> | undefined> {
    return (await this.#bucket.get(key))?.body;
  }

  async remove(key: string): Promise<void> {
    await this.#bucket.delete(key);
  }
}

/** A directory that workerd serves over HTTP (`DiskDirectory`): for networks on one machine. */
class DirectoryStore implements FileStore {
  readonly #directory: Fetcher;

  constructor(directory: Fetcher) {
    this.#directory = directory;
  }

  async put(key: string, bytes: AsyncIterable<Uint8Array>): Promise<number> {
    let sizeBytes = 0;
    const chunks = counted(bytes);
    let failure: { error: unknown } | undefined;
    const body = new ReadableStream<Uint8Array>({
      async pull(controller) {
        try {
          const { value, done } = await chunks.next();
          if (done === true) return controller.close();
          sizeBytes += value.byteLength;
          controller.enqueue(value);
        } catch (error) {
          failure = { error };
          controller.error(error);
        }
      },
    });
    const response = await this.#directory.fetch(urlOf(key), { method: "PUT", body });
    // The directory takes what a broken body had for all of it.
    if (failure !== undefined) {
      await this.remove(key);
      throw failure.error;
    }
    if (!response.ok) throw new Error(`the directory of files answered ${response.status} to a PUT`);
    return sizeBytes;
  }

  async get(key: string): Promise<ReadableStream<Uint8Array> | undefined> {
    const response = await this.#directory.fetch(urlOf(key));
    if (response.status === 404) return undefined;
    if (!response.ok || response.body === null) {
      throw new Error(`the directory of files answered ${response.status} to a GET`);
    }
    return response.body;
  }

  async remove(key: string): Promise<void> {
    const response = await this.#directory.fetch(urlOf(key), { method: "DELETE" });
    if (!response.ok && response.status !== 404) {
      throw new Error(`the directory of files answered ${response.status} to a DELETE`);
    }
  }
}

const urlOf = (key: string) => `http://files/${key}`;

/** Refuses a file that is larger than files may be, as soon as that is seen. */
async function* counted(bytes: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void> {
  let sizeBytes = 0;
  for await (const chunk of bytes) {
    sizeBytes += chunk.byteLength;
    if (sizeBytes > limits.fileBytes) {
      throw new Refusal({
        code: "request_too_large",
        param: "file",
        message: `The file has more than ${limits.fileBytes} bytes. Send it in parts.`,
      });
    }
    yield chunk;
  }
}
