import { Refusal } from "../../core/refusal.ts";

/** One part of a form, whose bytes are read before the next part. */
export interface FormPart {
  name: string;
  /** Given for files. */
  filename: string | undefined;
  bytes: AsyncGenerator<Uint8Array, void>;
}

/** Longest headers of a part. */
const headerBytes = 16 * 1024;
const encoder = new TextEncoder();
const decoder = new TextDecoder();

/**
 * The parts of a `multipart/form-data` body (RFC 7578), each as it comes, so that a file of any size takes no more memory
 * than a piece of it. Refuses (`invalid_request`) what is no such body or ends too early.
 */
export async function* formParts(request: Request): AsyncGenerator<FormPart, void> {
  const boundary = /^multipart\/form-data\s*;.*\bboundary=(?:"([^"]{1,70})"|([^\s;]{1,70}))/i.exec(
    request.headers.get("content-type") ?? "",
  );
  if (boundary === null || request.body === null) throw broken("Send multipart/form-data with a boundary.");
  const source = new Source(request.body);
  const mark = encoder.encode(`\r\n--${boundary[1] ?? boundary[2]}`);
  // The first boundary has no line break before it.
  source.prepend("\r\n");
  await drain(source.until(mark));
  for (;;) {
    const [first, second] = await source.take(2);
    if (first === 0x2d && second === 0x2d) return;
    if (first !== 0x0d || second !== 0x0a) throw broken("A boundary is not followed by a line break.");
    const part = partOf(await source.head());
    const bytes = source.until(mark);
    yield { ...part, bytes };
    // What nobody read of it is passed over.
    await drain(bytes);
  }
}

/** A part's text, of at most so many bytes. */
export async function textOf(part: FormPart, mostBytes = 4_096): Promise<string> {
  const chunks: Uint8Array[] = [];
  let sizeBytes = 0;
  for await (const chunk of part.bytes) {
    sizeBytes += chunk.byteLength;
    if (sizeBytes > mostBytes) throw broken(`The field ${part.name.slice(0, 64)} has more than ${mostBytes} bytes.`);
    chunks.push(chunk);
  }
  return decoder.decode(joined(chunks));
}

function partOf(head: string): Pick<FormPart, "name" | "filename"> {
  const disposition = /^content-disposition:\s*form-data\s*;(.*)$/im.exec(head)?.[1] ?? "";
  const name = /(?:^|[\s;])name="((?:[^"\\]|\\.)*)"/.exec(disposition)?.[1];
  const filename = /(?:^|[\s;])filename="((?:[^"\\]|\\.)*)"/.exec(disposition)?.[1];
  if (name === undefined) throw broken("A part has no name.");
  return { name, filename };
}

/** A stream of bytes that is read up to marks. */
class Source {
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>;
  #held: Uint8Array = new Uint8Array();

  constructor(body: ReadableStream<Uint8Array>) {
    this.#reader = body.getReader();
  }

  prepend(text: string): void {
    this.#held = joined([encoder.encode(text), this.#held]);
  }

  /** What stands before the mark, piece by piece; the mark itself is passed over. */
  async *until(mark: Uint8Array): AsyncGenerator<Uint8Array, void> {
    for (;;) {
      const at = indexOf(this.#held, mark);
      if (at >= 0) {
        const before = this.#held.subarray(0, at);
        this.#held = this.#held.subarray(at + mark.byteLength);
        if (before.byteLength > 0) yield before;
        return;
      }
      // The mark may begin within the last bytes.
      const sure = this.#held.byteLength - mark.byteLength + 1;
      if (sure > 0) {
        const before = this.#held.subarray(0, sure);
        this.#held = this.#held.subarray(sure);
        yield before;
      }
      await this.#more();
    }
  }

  async take(count: number): Promise<Uint8Array> {
    while (this.#held.byteLength < count) await this.#more();
    const taken = this.#held.subarray(0, count);
    this.#held = this.#held.subarray(count);
    return taken;
  }

  /** The headers of a part. */
  async head(): Promise<string> {
    const chunks: Uint8Array[] = [];
    let sizeBytes = 0;
    for await (const chunk of this.until(encoder.encode("\r\n\r\n"))) {
      sizeBytes += chunk.byteLength;
      if (sizeBytes > headerBytes) throw broken("A part has headers that are too long.");
      chunks.push(chunk);
    }
    return decoder.decode(joined(chunks));
  }

  async #more(): Promise<void> {
    const { value } = await this.#reader.read();
    if (value === undefined) throw broken("The body ends before its last boundary.");
    this.#held = joined([this.#held, value]);
  }
}

function indexOf(bytes: Uint8Array, mark: Uint8Array): number {
  const [first = 0] = mark;
  for (
    let at = bytes.indexOf(first);
    at >= 0 && at + mark.byteLength <= bytes.byteLength;
    at = bytes.indexOf(first, at + 1)
  ) {
    if (mark.every((byte, place) => bytes[at + place] === byte)) return at;
  }
  return -1;
}

function joined(chunks: readonly Uint8Array[]): Uint8Array {
  const [only] = chunks;
  if (only !== undefined && chunks.length === 1) return only;
  const whole = new Uint8Array(chunks.reduce((sum, chunk) => sum + chunk.byteLength, 0));
  let offset = 0;
  for (const chunk of chunks) {
    whole.set(chunk, offset);
    offset += chunk.byteLength;
  }
  return whole;
}

async function drain(bytes: AsyncGenerator<Uint8Array, void>): Promise<void> {
  for await (const _ of bytes);
}

function broken(problem: string): Refusal {
  return new Refusal({ code: "invalid_request", message: `The body is no form that can be read. ${problem}` });
}
