/** Typed calls over a protobuf-es service: requests and answers are messages, failures are AppErrors with the server's reason. */
import {
  create,
  type DescMessage,
  type DescMethod,
  type Message,
  type MessageInitShape,
  type MessageShape,
} from '@bufbuild/protobuf';
import type { GenService, GenServiceMethods } from '@bufbuild/protobuf/codegenv2';
import { type ClientDuplexStream, Metadata, type ServiceError } from '@grpc/grpc-js';
import { AppError } from '../errors/app-error.ts';
import type { Connection } from './connection.ts';
import { methodDefinition } from './service-definition.ts';
import { fromStatus } from './status.ts';

/** Options of a call. */
export interface CallOptions {
  /** How long to wait for the answer, in milliseconds; default 15 000. Streams have none unless given. */
  deadlineMs?: number;
  /** Ends the call; it then rejects with an AbortError. */
  signal?: AbortSignal;
  /** Headers in lower case, for example authorization. */
  headers?: Record<string, string>;
}

/** Both directions of a stream. Iterating ends when the server ends it, and throws an AppError when it fails. */
export interface ClientStream<Request extends DescMessage, Response extends DescMessage>
  extends AsyncIterable<MessageShape<Response>> {
  /** Sends a message; after the end of the stream it does nothing. */
  write(message: MessageInitShape<Request>): void;
  /** Says that nothing more will be sent; the server then ends its side. */
  close(): void;
}

/** What can be called, by the kind of the method. */
type Call<M extends GenServiceMethods[string]> = M['methodKind'] extends 'unary'
  ? (request: MessageInitShape<M['input']>, options?: CallOptions) => Promise<MessageShape<M['output']>>
  : M['methodKind'] extends 'bidi_streaming'
    ? (options?: CallOptions) => ClientStream<M['input'], M['output']>
    : never;

/** The unary and bidirectional methods of a service by their local name ("getFleetStatus"). */
export type ServiceClient<M extends GenServiceMethods> = { [Name in keyof M]: Call<M[Name]> };

const DEFAULT_DEADLINE_MS = 15_000;

/**
 * Makes a client: `createClient(FleetService, openConnection({ … })).getNode({ name: 'w1' })`.
 * Calls reject with AppError; without details of ours UNAVAILABLE becomes 'unavailable' with the cause in its message
 * (a missing or expired client certificate arrives so: TLS fails before gRPC).
 */
export function createClient<M extends GenServiceMethods>(
  service: GenService<M>,
  connection: Connection,
): ServiceClient<M> {
  const methods = Object.values<DescMethod>(service.method).map((method) => [
    method.localName,
    method.methodKind === 'unary' ? unary(connection, method) : bidi(connection, method),
  ]);
  return Object.fromEntries(methods) as ServiceClient<M>; // built from the very descriptor that M describes
}

function unary(connection: Connection, method: DescMethod) {
  const definition = methodDefinition(method);
  return (request: MessageInitShape<DescMessage>, options: CallOptions = {}): Promise<Message> =>
    new Promise((resolve, reject) => {
      const { signal } = options;
      if (signal?.aborted) return reject(abortError());
      const call = connection.grpc.makeUnaryRequest(
        definition.path,
        definition.requestSerialize,
        definition.responseDeserialize,
        create(method.input, request),
        metadataOf(options),
        { deadline: Date.now() + (options.deadlineMs ?? DEFAULT_DEADLINE_MS) },
        (error, response) => {
          forget();
          if (error !== null) return reject(errorOf(error, signal));
          if (response === undefined) return reject(new AppError('internal', `${definition.path} answered nothing`));
          resolve(response);
        },
      );
      const forget = whenStopped(connection, signal, () => call.cancel());
    });
}

function bidi(connection: Connection, method: DescMethod) {
  const definition = methodDefinition(method);
  return (options: CallOptions = {}): ClientStream<DescMessage, DescMessage> => {
    const { signal } = options;
    if (signal?.aborted) throw abortError();
    const call = connection.grpc.makeBidiStreamRequest(
      definition.path,
      definition.requestSerialize,
      definition.responseDeserialize,
      metadataOf(options),
      options.deadlineMs === undefined ? {} : { deadline: Date.now() + options.deadlineMs },
    );
    let ended = false;
    const forget = whenStopped(connection, signal, () => call.cancel());
    call.on('error', () => {}); // whoever iterates gets it; an error that nobody reads must not end the process
    call.on('status', () => {
      ended = true;
      forget();
    });
    return {
      write(message) {
        if (!ended) call.write(create(method.input, message));
      },
      close() {
        if (!ended) call.end();
      },
      [Symbol.asyncIterator]: () => iterate(call, signal),
    };
  };
}

/** Cancels a call when its signal fires or its connection is closed; returns what ends the watch. */
function whenStopped(connection: Connection, signal: AbortSignal | undefined, cancel: () => void): () => void {
  connection.calls.add(cancel);
  signal?.addEventListener('abort', cancel, { once: true });
  return () => {
    connection.calls.delete(cancel);
    signal?.removeEventListener('abort', cancel);
  };
}

async function* iterate(call: ClientDuplexStream<Message, Message>, signal: AbortSignal | undefined) {
  try {
    yield* call as AsyncIterable<Message>; // the stream carries what responseDeserialize made
  } catch (error) {
    throw errorOf(error, signal);
  } finally {
    call.cancel(); // a reader that leaves early ends the call
  }
}

function errorOf(error: unknown, signal: AbortSignal | undefined): Error {
  if (signal?.aborted) return abortError();
  return isServiceError(error) ? fromStatus(error) : AppError.from(error);
}

function isServiceError(error: unknown): error is ServiceError {
  return error instanceof Error && 'code' in error && 'details' in error && typeof error.code === 'number';
}

function abortError(): DOMException {
  return new DOMException('the call was aborted', 'AbortError');
}

function metadataOf(options: CallOptions): Metadata {
  const metadata = new Metadata();
  for (const [name, value] of Object.entries(options.headers ?? {})) metadata.set(name, value);
  return metadata;
}
