import { ModelError, systemErrorCode } from "./model-error.ts";
import type { PartFile } from "./part-file.ts";

/** Connections that may break and be continued before a source is given up; each must have brought some bytes. */
const cutsAtMost = 8;

export interface HttpDownload {
  url: string;
  headers: Readonly<Record<string, string>>;
  part: PartFile;
  onBytes: (doneBytes: number) => void;
  signal?: AbortSignal | undefined;
  /** Until the answer's headers. */
  connectTimeoutMs?: number;
  /** Longest silence within the body. */
  stallTimeoutMs?: number;
}

/**
 * Fills a part from a URL, continuing it with a `Range` request where it holds bytes already, and continuing again
 * after a cut. Does not check the hash. Throws `ModelError` `source_unreachable` where the server cannot be reached,
 * says no or falls silent, and what the part throws; the abort reason where `signal` fires.
 */
export async function downloadHttp(download: HttpDownload): Promise<void> {
  const { part, signal } = download;
  for (let cuts = 0; ; cuts++) {
    const startBytes = part.sizeBytes;
    try {
      await receive(download);
      return;
    } catch (cause) {
      signal?.throwIfAborted();
      if (cause instanceof ModelError) throw cause;
      if (part.sizeBytes === startBytes || cuts >= cutsAtMost) {
        throw unreachable(download.url, `cannot be reached (${reasonOf(cause)})`, cause);
      }
    }
  }
}

async function receive(download: HttpDownload): Promise<void> {
  const { url, headers, part, onBytes, signal, connectTimeoutMs = 5_000, stallTimeoutMs = 30_000 } = download;
  const patience = new AbortController();
  const giveUp = () => patience.abort(new Error("no answer in time"));
  let timer = setTimeout(giveUp, connectTimeoutMs);
  try {
    const offsetBytes = part.sizeBytes;
    const response = await fetch(url, {
      headers: offsetBytes > 0 ? { ...headers, range: `bytes=${offsetBytes}-` } : headers,
      signal: signal ? AbortSignal.any([signal, patience.signal]) : patience.signal,
    });
    if (!(await accept({ response, url, part, offsetBytes })) || response.body === null) return;
    for await (const chunk of response.body) {
      clearTimeout(timer);
      await part.append(chunk);
      onBytes(part.sizeBytes);
      timer = setTimeout(giveUp, stallTimeoutMs);
    }
  } finally {
    clearTimeout(timer);
    // Frees the connection where the body was not read to its end.
    patience.abort();
  }
}

/** Whether a body follows that continues the part. Throws `source_unreachable` where the server says no. */
async function accept({
  response,
  url,
  part,
  offsetBytes,
}: {
  response: Response;
  url: string;
  part: PartFile;
  offsetBytes: number;
}): Promise<boolean> {
  if (offsetBytes > 0 && response.status === 416) {
    // Nothing follows what the part holds: it is whole, or it is not of this file.
    if (!part.isWhole()) await part.restart();
    return false;
  }
  if (response.status === 401 || response.status === 403) {
    throw unreachable(url, "asks for permission; accept the model's terms there and set HF_TOKEN");
  }
  if (!response.ok) throw unreachable(url, `answers ${response.status}`);
  const continues = response.status === 206 && startOf(response.headers.get("content-range")) === offsetBytes;
  if (offsetBytes > 0 && !continues) {
    if (response.status === 206) throw unreachable(url, "continues the file at another place than asked");
    await part.restart();
  }
  return true;
}

/** First byte of a `Content-Range: bytes 5-9/10` (RFC 9110, 14.4). */
const startOf = (range: string | null) => Number(/^bytes (\d+)-/.exec(range ?? "")?.[1] ?? Number.NaN);

const unreachable = (url: string, what: string, cause?: unknown) =>
  new ModelError("source_unreachable", `${new URL(url).host} ${what}.`, { cause });

/** The system's word for a failed `fetch`, which hides it one cause down. */
function reasonOf(cause: unknown): string {
  const inner = cause instanceof Error ? (cause.cause ?? cause) : cause;
  return systemErrorCode(inner) ?? (inner instanceof Error ? inner.message : String(inner));
}
