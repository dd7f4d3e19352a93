/** The one error of both sides: a reason from a closed list, a sentence that is safe to show, and the cause for the log. */

/** Why something was refused or failed. Callers act on the reason, never on the message. */
export type Reason =
  | 'invalid-request'
  | 'unauthenticated'
  | 'node-unknown'
  | 'node-revoked'
  | 'policy-refused'
  | 'not-found'
  | 'conflict'
  | 'rate-limited'
  | 'unavailable'
  | 'deadline'
  | 'internal';

/** Further facts of an error. */
export interface AppErrorOptions {
  /** The error behind it; it goes to the log and never to the peer. */
  cause?: unknown;
  /** For rate-limited and unavailable: try again no sooner than this, in milliseconds. */
  retryAfterMs?: number;
}

/**
 * An expected failure. The message is lower case, has no full stop, holds no secret and tells what to try next.
 * Anything else that is thrown is a bug or the environment; {@link AppError.from} makes it 'internal'.
 */
export class AppError extends Error {
  override readonly name = 'AppError';
  readonly reason: Reason;
  readonly retryAfterMs: number | undefined;

  constructor(reason: Reason, message: string, options: AppErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.reason = reason;
    this.retryAfterMs = options.retryAfterMs;
  }

  /** The error itself when it is an AppError already, else an 'internal' one (an abort becomes 'unavailable'). */
  static from(error: unknown, message?: string): AppError {
    if (error instanceof AppError) return error;
    if (error instanceof Error && error.name === 'AbortError') {
      return new AppError('unavailable', message ?? 'stopped before it was finished', { cause: error });
    }
    return new AppError('internal', message ?? messageOf(error), { cause: error });
  }
}

/** The text of whatever was thrown. */
export function messageOf(error: unknown): string {
  // a name with several addresses of which none answers: Node.js leaves the message empty
  if (error instanceof AggregateError && error.message === '') return error.errors.map(messageOf).join('; ');
  return error instanceof Error ? error.message : String(error);
}
