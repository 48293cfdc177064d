const opcodes = { continuation: 0, text: 1 } as const;
/** More than any message of the wire; a length beyond it means that the bytes were misread. */
const mostBytes = 64 * 1024 * 1024;
const headEnd = Buffer.from("\r\n\r\n");

/**
 * Reads the text messages out of one direction of a WebSocket's TCP bytes (RFC 6455 §5), from the HTTP head on, however
 * the bytes are cut. Masked or not, in fragments or not; without extensions, which the product does not use. Control
 * frames and binary messages are passed over. Throws where the bytes are no WebSocket's.
 */
export class WebSocketMessages {
  #bytes: Buffer = Buffer.alloc(0);
  #isPastHead = false;
  #fragments: Buffer[] = [];

  /** The messages that these bytes complete, in order. */
  push(bytes: Uint8Array): string[] {
    this.#bytes = Buffer.concat([this.#bytes, bytes]);
    if (!this.#isPastHead) {
      const end = this.#bytes.indexOf(headEnd);
      if (end === -1) return [];
      this.#bytes = this.#bytes.subarray(end + headEnd.length);
      this.#isPastHead = true;
    }
    const messages: string[] = [];
    for (let frame = this.#next(); frame !== undefined; frame = this.#next()) {
      const { opcode, isFinal, payload } = frame;
      if (opcode === opcodes.text) this.#fragments = [payload];
      else if (opcode === opcodes.continuation) this.#fragments.push(payload);
      else continue;
      if (!isFinal) continue;
      messages.push(Buffer.concat(this.#fragments).toString("utf8"));
      this.#fragments = [];
    }
    return messages;
  }

  /** Takes one whole frame off the bytes, if one is there. */
  #next(): { opcode: number; isFinal: boolean; payload: Buffer } | undefined {
    const bytes = this.#bytes;
    if (bytes.length < 2) return undefined;
    const first = bytes.readUInt8(0);
    const second = bytes.readUInt8(1);
    if ((first & 0x70) !== 0) throw new Error("The frame uses an extension.");
    const shortLength = second & 0x7f;
    const lengthBytes = shortLength === 126 ? 2 : shortLength === 127 ? 8 : 0;
    const isMasked = (second & 0x80) !== 0;
    const start = 2 + lengthBytes + (isMasked ? 4 : 0);
    if (bytes.length < start) return undefined;
    const length =
      lengthBytes === 0 ? shortLength : lengthBytes === 2 ? bytes.readUInt16BE(2) : Number(bytes.readBigUInt64BE(2));
    if (length > mostBytes) throw new Error(`The frame says that it has ${length} bytes.`);
    if (bytes.length < start + length) return undefined;
    const payload = Buffer.from(bytes.subarray(start, start + length));
    if (isMasked) {
      const mask = bytes.subarray(start - 4, start);
      for (let index = 0; index < length; index += 1) payload[index] = (payload[index] ?? 0) ^ (mask[index & 3] ?? 0);
    }
    this.#bytes = bytes.subarray(start + length);
    return { opcode: first & 0x0f, isFinal: (first & 0x80) !== 0, payload };
  }
}
