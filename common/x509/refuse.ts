/** Turns whatever parsing strange bytes throws into one refusal that a peer may see. */
import { AppError } from '../errors/app-error.ts';

/**
 * Runs a reader over bytes that somebody else made.
 *
 * @param what "certificate request", for the sentence
 * @throws AppError of the reader as it is; anything else (TypeError, RangeError, OpenSSL's errors) as 'invalid-request'
 */
export function refuseUnreadable<T>(what: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (error instanceof AppError) throw error;
    throw new AppError('invalid-request', `the ${what} is malformed: send one that openssl can print`, {
      cause: error,
    });
  }
}

/** An invalid-request error, ready to be thrown; the cause is for the log. */
export function refusal(message: string, cause?: unknown): AppError {
  return new AppError('invalid-request', message, { cause });
}
