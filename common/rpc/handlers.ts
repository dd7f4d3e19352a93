/** From async functions to grpc-js handlers: every call is admitted first, logged once, and every throw becomes a status. */
import {
  create,
  type DescMessage,
  type DescMethod,
  fromBinary,
  type Message,
  type MessageInitShape,
  type MessageShape,
} from '@bufbuild/protobuf';
import type { GenService, GenServiceMethods } from '@bufbuild/protobuf/codegenv2';
import type {
  Server,
  ServerDuplexStream,
  ServerUnaryCall,
  sendUnaryData,
  UntypedHandleCall,
  UntypedServiceImplementation,
} from '@grpc/grpc-js';
import { AppError, messageOf } from '../errors/app-error.ts';
import type { Log } from '../log/log.ts';
import { serviceDefinition } from './service-definition.ts';
import { codeName, toStatus } from './status.ts';
import { hasValidTimes } from './valid-times.ts';

/** What is known of a call before anybody looked who calls. */
export interface CallContext {
  /** "kubemtls.v1.FleetService/GetNode". */
  method: string;
  /** IP address of the peer, without port. */
  address: string;
  /** The client certificate, DER, verified against the roots of the listener; undefined where none is asked for. */
  peerCertificate: Uint8Array | undefined;
  /** First value of a header, lower-case name. */
  header(name: string): string | undefined;
  /** Fires when the caller hangs up or its deadline passes. */
  signal: AbortSignal;
}

/** The server's side of a stream. */
export interface ServerStream<Request extends DescMessage, Response extends DescMessage>
  extends AsyncIterable<MessageShape<Request>> {
  /** Sends a message; after the end it does nothing. */
  write(message: MessageInitShape<Response>): void;
}

type Handler<M extends GenServiceMethods[string], Caller> = M['methodKind'] extends 'unary'
  ? (request: MessageShape<M['input']>, call: CallContext, caller: Caller) => Promise<MessageInitShape<M['output']>>
  : M['methodKind'] extends 'bidi_streaming'
    ? (stream: ServerStream<M['input'], M['output']>, call: CallContext, caller: Caller) => Promise<void>
    : never;

/** One function per method; a stream ends when its function does. */
export type Handlers<M extends GenServiceMethods, Caller> = { [Name in keyof M]: Handler<M[Name], Caller> };

/** What every service of a listener shares. */
export interface ServiceOptions<Caller> {
  /** Says who calls, or refuses by throwing. */
  admit: (call: CallContext) => Promise<Caller>;
  /** The caller as the log names it, "node/w1". */
  actorOf: (caller: Caller) => string;
  /** Milliseconds of a clock that only runs forward. */
  elapsed: () => number;
  log: Log;
}

/** Registers a service. */
export function addService<M extends GenServiceMethods, Caller>(
  server: Server,
  service: GenService<M>,
  handlers: Handlers<M, Caller>,
  options: ServiceOptions<Caller>,
): void {
  const implementation: UntypedServiceImplementation = {};
  const definition = serviceDefinition(service);
  const decodeLater: Record<string, object> = {};
  for (const method of Object.values<DescMethod>(service.method)) {
    const run = handlers[method.localName] as AnyHandler<Caller>; // Handlers<M> has exactly the methods of M
    implementation[method.localName] =
      method.methodKind === 'unary' ? unary(method, run, options) : bidi(method, run, options);
    // Bytes that are no message are refused by us, with a reason and a line in the log.
    decodeLater[method.localName] = { ...definition[method.localName], requestDeserialize: (bytes: Buffer) => bytes };
  }
  server.addService(decodeLater as typeof definition, implementation); // the same definition, decoding put off
}

/** A handler whose message types are no longer known to the compiler; the descriptor checks them at run time. */
type AnyHandler<Caller> = (input: unknown, call: CallContext, caller: Caller) => Promise<MessageInitShape<DescMessage>>;

function unary<Caller>(
  method: DescMethod,
  run: AnyHandler<Caller>,
  options: ServiceOptions<Caller>,
): UntypedHandleCall {
  return (call: ServerUnaryCall<Uint8Array, Message>, callback: sendUnaryData<Message>) => {
    answer(method, call, options, async (context, caller) =>
      create(method.output, await run(decode(method, call.request), context, caller)),
    )
      .then(
        (response) => callback(null, response),
        (error: unknown) => callback(toStatus(AppError.from(error))),
      )
      .catch((error: unknown) => unsent(method, options, error));
  };
}

function bidi<Caller>(method: DescMethod, run: AnyHandler<Caller>, options: ServiceOptions<Caller>): UntypedHandleCall {
  return (call: ServerDuplexStream<Uint8Array, Message>) => {
    let open = true;
    call.on('error', () => {}); // the reader gets it; an error that nobody reads must not end the process
    const stream: ServerStream<DescMessage, DescMessage> = {
      write: (message) => {
        if (open && !call.cancelled) call.write(create(method.output, message));
      },
      async *[Symbol.asyncIterator]() {
        // A reader that leaves early must not destroy the stream: grpc-js could then send no status any more.
        for await (const bytes of iteratorOf(call)) yield decode(method, bytes);
      },
    };
    answer(method, call, options, (context, caller) => run(stream, context, caller))
      .then(
        () => {
          open = false;
          call.end();
        },
        (error: unknown) => {
          open = false;
          call.emit('error', toStatus(AppError.from(error)));
        },
      )
      .catch((error: unknown) => unsent(method, options, error));
  };
}

/** Admits, runs and logs one call; rejects with what the peer shall be told. */
async function answer<Caller, Result>(
  method: DescMethod,
  call: ServerUnaryCall<Uint8Array, Message> | ServerDuplexStream<Uint8Array, Message>,
  options: ServiceOptions<Caller>,
  run: (context: CallContext, caller: Caller) => Promise<Result>,
): Promise<Result> {
  const startedMs = options.elapsed();
  const context = contextOf(method, call);
  let actor = '';
  const fields = () => {
    const elapsedMs = Math.round(options.elapsed() - startedMs);
    return { method: context.method, actor, address: context.address, elapsedMs };
  };
  try {
    const caller = await options.admit(context);
    actor = options.actorOf(caller);
    const result = await run(context, caller);
    options.log.info('call', { ...fields(), code: 'OK' });
    return result;
  } catch (thrown) {
    const error = AppError.from(thrown);
    const failed = { ...fields(), code: codeName(toStatus(error).code), reason: error.reason, error };
    if (error.reason === 'internal') options.log.error('call failed', failed);
    else options.log.info('call refused', failed);
    throw error;
  }
}

/** What grpc-js throws while it sends must not end the process, and the calls of everybody else with it. */
function unsent<Caller>(method: DescMethod, { log }: ServiceOptions<Caller>, error: unknown): void {
  log.error('answer not sent', { method: `${method.parent.typeName}/${method.name}`, error });
}

function iteratorOf(call: ServerDuplexStream<Uint8Array, Message>): AsyncIterable<Uint8Array> {
  return call.iterator({ destroyOnReturn: false });
}

function contextOf(
  method: DescMethod,
  call: ServerUnaryCall<Uint8Array, Message> | ServerDuplexStream<Uint8Array, Message>,
): CallContext {
  const hangUp = new AbortController();
  call.on('cancelled', () => hangUp.abort());
  return {
    method: `${method.parent.typeName}/${method.name}`,
    address: hostOf(call.getPeer()),
    peerCertificate: call.getAuthContext().sslPeerCertificate?.raw,
    header: (name) => call.metadata.get(name)[0]?.toString(),
    signal: hangUp.signal,
  };
}

/** grpc-js writes ADDRESS:PORT, IPv6 without brackets; an IPv4 caller on a dual-stack socket shows as ::ffff:ADDRESS. */
function hostOf(peer: string): string {
  return peer.replace(/:\d+$/, '').replace(/^::ffff:(?=\d+\.\d+\.\d+\.\d+$)/, '');
}

function decode(method: DescMethod, bytes: Uint8Array): Message {
  const message = decodeAny(method, bytes);
  if (hasValidTimes(message)) return message;
  throw new AppError('invalid-request', 'the request has a time outside the years 1 to 9999');
}

function decodeAny(method: DescMethod, bytes: Uint8Array): Message {
  try {
    return fromBinary(method.input, bytes);
  } catch (error) {
    const text = `the request is no ${method.input.typeName}: ${messageOf(error)}`;
    throw new AppError('invalid-request', text, { cause: error });
  }
}
