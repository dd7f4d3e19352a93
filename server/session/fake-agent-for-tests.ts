/** An agent for tests of sessions. */
import { create, type MessageInitShape } from '@bufbuild/protobuf';
import {
  type HelloSchema,
  type SessionRequest,
  SessionRequestSchema,
  type SessionResponse,
  SessionResponseSchema,
  type Settings,
} from '../../proto/gen/kubemtls/v1/agent_pb.js';
import { type ServeSessionDeps, serveSession } from './serve-session.ts';

/** The agent's end of a stream, without a network. */
export class FakeAgent {
  readonly received: SessionResponse[] = [];
  readonly over: Promise<void>;
  readonly #queue: SessionRequest[] = [];
  readonly #hungUp = new AbortController();
  #wake = () => {};
  #closed = false;

  constructor(node: string, deps: ServeSessionDeps) {
    const stream = {
      write: (message: MessageInitShape<typeof SessionResponseSchema>) =>
        void this.received.push(create(SessionResponseSchema, message)),
      [Symbol.asyncIterator]: () => this.#messages(),
    };
    this.over = serveSession(stream, { signal: this.#hungUp.signal, address: '10.0.0.9' }, { name: node }, deps);
    this.over.catch(() => {}); // looked at by the tests that expect it
  }

  hello(value: MessageInitShape<typeof HelloSchema> = {}): Promise<void> {
    return this.say({ case: 'hello', value });
  }

  async say(message: NonNullable<MessageInitShape<typeof SessionRequestSchema>['message']>): Promise<void> {
    this.#queue.push(create(SessionRequestSchema, { message }));
    this.#wake();
    await settle();
  }

  settings(): Settings[] {
    return this.received.flatMap(({ message }) => (message.case === 'settings' ? [message.value] : []));
  }

  hangUp(): void {
    this.#hungUp.abort();
  }

  close(): void {
    this.#closed = true;
    this.#wake();
  }

  async *#messages(): AsyncGenerator<SessionRequest, void, undefined> {
    while (!this.#closed) {
      const next = this.#queue.shift();
      if (next !== undefined) yield next;
      else await new Promise<void>((resolve) => (this.#wake = resolve));
    }
  }
}

/** Lets what was said be taken up. */
export async function settle(): Promise<void> {
  for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve));
}
