/** The server's end of a session, for tests: what the agent wrote, and what it shall read. */
import { create, type MessageInitShape, type MessageShape } from '@bufbuild/protobuf';
import type { ClientStream } from '../../common/rpc/client.ts';
import { SessionRequestSchema, SessionResponseSchema } from '../../proto/gen/kubemtls/v1/agent_pb.js';

type Request = MessageShape<typeof SessionRequestSchema>['message'];
type Response = MessageShape<typeof SessionResponseSchema>;

/** A stream in memory. */
export class FakeStream implements ClientStream<typeof SessionRequestSchema, typeof SessionResponseSchema> {
  /** What the agent said, in order. */
  readonly said: Request[] = [];
  #waiting: (IteratorResult<Response> | { error: Error })[] = [];
  #wake: () => void = () => {};
  #over = false;

  write(message: MessageInitShape<typeof SessionRequestSchema>): void {
    if (!this.#over) this.said.push(create(SessionRequestSchema, message).message);
  }

  close(): void {
    this.end();
  }

  /** The server says something. */
  say(message: NonNullable<MessageInitShape<typeof SessionResponseSchema>['message']>): void {
    this.#push({ done: false, value: create(SessionResponseSchema, { message }) });
  }

  /** The server ends the session. */
  end(): void {
    this.#push({ done: true, value: undefined });
  }

  /** The session breaks. */
  fail(error: Error): void {
    this.#push({ error });
  }

  /** What the agent said of one kind. */
  of<Case extends Request['case']>(kind: Case): Extract<Request, { case: Case }>[] {
    return this.said.filter((message): message is Extract<Request, { case: Case }> => message.case === kind);
  }

  async *[Symbol.asyncIterator](): AsyncIterator<Response> {
    try {
      for (;;) {
        const next = this.#waiting.shift();
        if (next === undefined) {
          await new Promise<void>((resolve) => {
            this.#wake = resolve;
          });
        } else if ('error' in next) throw next.error;
        else if (next.done) return;
        else yield next.value;
      }
    } finally {
      this.#over = true;
    }
  }

  #push(item: IteratorResult<Response> | { error: Error }): void {
    this.#waiting.push(item);
    this.#wake();
  }
}
