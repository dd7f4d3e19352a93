/**
 * How an AppError travels: as a gRPC status whose `grpc-status-details-bin` holds a google.rpc.Status with ErrorInfo
 * (the reason) and RetryInfo (the delay). Callers act on the reason; the text is for people.
 */
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { anyPack, anyUnpack, durationFromMs, durationMs } from '@bufbuild/protobuf/wkt';
import { Metadata, type ServiceError, status } from '@grpc/grpc-js';
import { ErrorInfoSchema, RetryInfoSchema, type Status, StatusSchema } from '../../proto/gen/google/rpc/status_pb.js';
import { AppError, type Reason } from '../errors/app-error.ts';

/** Metadata key of the details (the richer error model, https://grpc.io/docs/guides/error/). */
const DETAILS_KEY = 'grpc-status-details-bin';
const DOMAIN = 'kube-mtls';
/** A trailer has to fit into the header block that every HTTP/2 peer accepts. */
const MAX_MESSAGE_CHARS = 2000;
/** All that a peer learns of an internal error. */
const INTERNAL_MESSAGE = 'internal error; the log of the server tells more';

/** The one table from reasons to gRPC codes; the compiler sees to it that none is missing. */
const CODES: Record<Reason, status> = {
  'invalid-request': status.INVALID_ARGUMENT,
  unauthenticated: status.UNAUTHENTICATED,
  'node-unknown': status.PERMISSION_DENIED,
  'node-revoked': status.PERMISSION_DENIED,
  'policy-refused': status.PERMISSION_DENIED,
  'not-found': status.NOT_FOUND,
  conflict: status.ABORTED,
  'rate-limited': status.RESOURCE_EXHAUSTED,
  unavailable: status.UNAVAILABLE,
  deadline: status.DEADLINE_EXCEEDED,
  internal: status.INTERNAL,
};

/** What a status without our details means: it comes from grpc-js, from a proxy or from TLS. */
const REASONS: Partial<Record<status, Reason>> = {
  [status.INVALID_ARGUMENT]: 'invalid-request',
  [status.UNIMPLEMENTED]: 'invalid-request',
  [status.RESOURCE_EXHAUSTED]: 'invalid-request', // grpc-js: a message above the size limit
  [status.UNAUTHENTICATED]: 'unauthenticated',
  [status.PERMISSION_DENIED]: 'policy-refused',
  [status.NOT_FOUND]: 'not-found',
  [status.ABORTED]: 'conflict',
  [status.UNAVAILABLE]: 'unavailable',
  [status.CANCELLED]: 'unavailable',
  [status.DEADLINE_EXCEEDED]: 'deadline',
};

/** What grpc-js sends for a failed call. */
export interface WireStatus {
  code: status;
  details: string;
  metadata: Metadata;
}

/**
 * Status of an error. Internal errors get a fixed text, so that nothing of the server leaks. A text that ends in half a surrogate
 * pair, as a cut one may, would make grpc-js throw.
 */
export function toStatus(error: AppError): WireStatus {
  const code = CODES[error.reason];
  const message =
    error.reason === 'internal' ? INTERNAL_MESSAGE : error.message.slice(0, MAX_MESSAGE_CHARS).toWellFormed();
  const details = [anyPack(ErrorInfoSchema, create(ErrorInfoSchema, { reason: error.reason, domain: DOMAIN }))];
  if (error.retryAfterMs !== undefined) {
    const retryDelay = durationFromMs(Math.max(0, Math.round(error.retryAfterMs)));
    details.push(anyPack(RetryInfoSchema, create(RetryInfoSchema, { retryDelay })));
  }
  const metadata = new Metadata();
  const bytes = toBinary(StatusSchema, create(StatusSchema, { code, message, details }));
  metadata.set(DETAILS_KEY, Buffer.from(bytes));
  return { code, details: message, metadata };
}

/** The error that a status stands for, with the reason and the delay of its details. */
export function fromStatus(error: ServiceError): AppError {
  const details = readDetails(error.metadata);
  for (const any of details?.details ?? []) {
    const info = anyUnpack(any, ErrorInfoSchema);
    if (info?.domain !== DOMAIN || !isReason(info.reason)) continue;
    const retryAfterMs = retryDelayOf(details);
    const options = retryAfterMs === undefined ? { cause: error } : { cause: error, retryAfterMs };
    return new AppError(info.reason, error.details, options);
  }
  return new AppError(REASONS[error.code] ?? 'internal', plainMessage(error), { cause: error });
}

/** Name of a gRPC code for the log, "PERMISSION_DENIED". */
export function codeName(code: status): string {
  return status[code] ?? String(code);
}

function isReason(text: string): text is Reason {
  return Object.hasOwn(CODES, text);
}

function retryDelayOf(details: Status | undefined): number | undefined {
  for (const any of details?.details ?? []) {
    const delay = anyUnpack(any, RetryInfoSchema)?.retryDelay;
    if (delay !== undefined) return durationMs(delay);
  }
  return undefined;
}

function readDetails(metadata: Metadata | undefined): Status | undefined {
  const bytes = metadata?.get(DETAILS_KEY)[0];
  if (!(bytes instanceof Uint8Array)) return undefined;
  try {
    return fromBinary(StatusSchema, bytes);
  } catch {
    return undefined; // not ours: a proxy may put anything there
  }
}

/** grpc-js hides the cause of a failed connection behind words of its own; the cause is what an operator needs. */
function plainMessage(error: ServiceError): string {
  if (error.code !== status.UNAVAILABLE) return `${codeName(error.code)}: ${error.details}`;
  const cause = /Last error: (?:Error: )?(.*?)\.? *(?:Resolution note:.*)?$/s.exec(error.details)?.[1] ?? error.details;
  return `the server cannot be reached: ${cause}`;
}
