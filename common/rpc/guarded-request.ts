/** A request while it comes in: its size, its memory, its time, and its refusal. */
import { constants, type ServerHttp2Stream } from 'node:http2';
import { type ServerInterceptingCallInterface, status } from '@grpc/grpc-js';
import { RequestMeter } from './request-meter.ts';

/** Whom a request tells of itself. */
export interface RequestWatcher {
  /** It holds so many bytes more, or fewer, than before. */
  held(bytes: number): void;
  /** A request for a method that there is has come in whole; of a stream, its first message. */
  complete(): void;
  /** Nothing more is to be watched. */
  over(request: GuardedRequest): void;
}

/**
 * States: coming (its time runs), quiet (a stream between two messages, or a request that is complete), refused (its caller is
 * being told, and one turn later it is destroyed).
 */
type State = 'coming' | 'quiet' | 'refused';

/** One HTTP/2 stream. Made before grpc-js hears of the stream, so that it sees each piece first. */
export class GuardedRequest {
  readonly #stream: ServerHttp2Stream;
  readonly #meter: RequestMeter;
  readonly #watcher: RequestWatcher;
  /** The call that grpc-js made of it; undefined for a method that there is not, whose bytes nobody keeps. */
  #call: ServerInterceptingCallInterface | undefined;
  #streaming = false;
  #state: State = 'coming';
  #turns = 0;
  #receivedBytes = 0;
  #heldBytes = 0;

  constructor(stream: ServerHttp2Stream, limitBytes: number, watcher: RequestWatcher) {
    this.#stream = stream;
    this.#meter = new RequestMeter(limitBytes);
    this.#watcher = watcher;
    stream.on('data', (piece: Buffer) => this.#add(piece));
    stream.once('end', () => this.#end());
    stream.once('close', () => {
      this.#hold(0);
      watcher.over(this);
    });
  }

  /** Tells of the call. */
  belongsTo(call: ServerInterceptingCallInterface, streaming: boolean): void {
    this.#call = call;
    this.#streaming = streaming;
  }

  /** One turn of the clock has passed. Ends what has been coming for more than so many. */
  turn(most: number): void {
    if (this.#state === 'refused') this.#stream.destroy();
    // a paused stream waits for us, not for its caller
    if (this.#state !== 'coming' || this.#stream.isPaused()) return;
    this.#turns++;
    if (this.#turns > most) this.#refuse(status.DEADLINE_EXCEEDED, 'the request was not complete in time');
  }

  #add(piece: Buffer): void {
    if (this.#call === undefined || this.#state === 'refused') return;
    const before = this.#meter.messages;
    const fault = this.#meter.add(piece);
    if (fault !== undefined) {
      this.#refuse(status.RESOURCE_EXHAUSTED, fault);
      return;
    }
    this.#receivedBytes += piece.length;
    // what a stream has brought is its reader's; a whole request is kept until it is answered
    this.#hold(this.#streaming ? this.#meter.heldBytes : Math.max(this.#meter.heldBytes, this.#receivedBytes));
    if (!this.#streaming) return;
    const { messages, unfinished } = this.#meter;
    if (messages > before) this.#turns = 0;
    if (before === 0 && messages > 0) this.#watcher.complete();
    this.#state = unfinished || messages === 0 ? 'coming' : 'quiet';
  }

  #end(): void {
    if (this.#state === 'refused') return;
    this.#state = 'quiet';
    if (this.#call !== undefined && !this.#streaming) this.#watcher.complete();
  }

  #hold(bytes: number): void {
    this.#watcher.held(bytes - this.#heldBytes);
    this.#heldBytes = bytes;
  }

  #refuse(code: status, details: string): void {
    this.#state = 'refused';
    try {
      if (this.#call === undefined) this.#stream.close(constants.NGHTTP2_CANCEL);
      else this.#call.sendStatus({ code, details });
    } catch {
      this.#stream.destroy(); // the connection ended meanwhile; an error here must not end the process
    }
  }
}
