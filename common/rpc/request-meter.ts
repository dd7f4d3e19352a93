/**
 * Follows the messages of a request through its bytes (a flag, four bytes of length, the message:
 * https://github.com/grpc/grpc/blob/v1.76.0/doc/PROTOCOL-HTTP2.md), and counts the memory that waits for their end. grpc-js keeps every
 * piece of an unfinished message, and each piece keeps what was read from the connection with it: one byte can hold 16 KiB.
 */

/** What a piece costs beside its bytes, rather too much than too little: two views of it are kept. */
const PIECE_BYTES = 512;
/** Of the length-prefix. */
const PREFIX_BYTES = 5;

/** A request on its way in. */
export class RequestMeter {
  readonly #limitBytes: number;
  readonly #greatestHeldBytes: number;
  #prefixSeen = 0;
  #length = 0;
  #heldBytes = 0;
  /** What the piece before was cut from: pieces of one read hold it once. */
  #slab: ArrayBufferLike | undefined;
  #messages = 0;

  /** @param limitBytes greatest message */
  constructor(limitBytes: number) {
    this.#limitBytes = limitBytes;
    // an honest sender's pieces are 16 KiB or the rest of the message; reads are of 64 KiB at most, and may hold other streams' pieces too
    this.#greatestHeldBytes = 2 * limitBytes + 256 * 1024;
  }

  /** Memory that the unfinished message holds; 0 when none is begun. */
  get heldBytes(): number {
    return this.#heldBytes;
  }

  /** Whether a message has begun that is not complete. */
  get unfinished(): boolean {
    return this.#prefixSeen > 0;
  }

  /** How many messages are complete. */
  get messages(): number {
    return this.#messages;
  }

  /** Takes the next piece. Undefined when all is well, else why this request has to end; nothing may be added then. */
  add(piece: Uint8Array): string | undefined {
    for (let at = 0; at < piece.length; ) {
      if (this.#prefixSeen < PREFIX_BYTES) {
        // the first byte says whether the message is compressed
        if (this.#prefixSeen > 0) this.#length = this.#length * 256 + (piece[at] ?? 0);
        this.#prefixSeen++;
        at++;
        if (this.#prefixSeen < PREFIX_BYTES) continue;
        if (this.#length > this.#limitBytes) {
          return `the request has a message of ${this.#length} bytes: ${this.#limitBytes} are the most`;
        }
      } else {
        const taken = Math.min(this.#length, piece.length - at);
        this.#length -= taken;
        at += taken;
      }
      if (this.#prefixSeen === PREFIX_BYTES && this.#length === 0) this.#complete();
    }
    if (!this.unfinished) return undefined;
    this.#heldBytes += PIECE_BYTES + (piece.buffer === this.#slab ? 0 : piece.buffer.byteLength);
    this.#slab = piece.buffer;
    if (this.#heldBytes <= this.#greatestHeldBytes) return undefined;
    return 'the request comes in too many pieces';
  }

  #complete(): void {
    this.#messages++;
    this.#prefixSeen = 0;
    this.#length = 0;
    this.#heldBytes = 0;
    this.#slab = undefined;
  }
}
