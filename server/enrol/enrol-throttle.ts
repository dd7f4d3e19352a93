/** Who may try to enrol now: failures are counted by source and by token. */
import { AppError } from '../../common/errors/app-error.ts';
import { addressKey } from '../../common/rpc/address-key.ts';
import type { MonotonicClock } from '../../common/time/clock.ts';
import { Throttle } from './throttle.ts';

const minuteMs = 60_000;

/** Guards the bootstrap listener. */
export class EnrolThrottle {
  readonly #sources: Throttle;
  readonly #tokens: Throttle;

  constructor(clock: MonotonicClock) {
    this.#sources = new Throttle(clock, { burst: 10, refillMs: minuteMs, maxKeys: 10_000 });
    // larger, since whoever knows the public part of a token could lock out its rightful user
    this.#tokens = new Throttle(clock, { burst: 30, refillMs: minuteMs / 2, maxKeys: 10_000 });
  }

  /** Lets a source try. Throws AppError rate-limited with the time to wait. */
  assertSource(address: string): void {
    assertNoWait(this.#sources.waitMs(addressKey(address)));
  }

  /** Lets a token be tried. Throws AppError rate-limited with the time to wait. */
  assertToken(tokenId: string): void {
    assertNoWait(this.#tokens.waitMs(tokenId));
  }

  /** Counts a refused enrolment. */
  countRefusal(address: string): void {
    this.#sources.count(addressKey(address));
  }

  /** Counts a wrong secret for a token that exists. */
  countWrongSecret(tokenId: string): void {
    this.#tokens.count(tokenId);
  }
}

function assertNoWait(waitMs: number): void {
  if (waitMs === 0) return;
  throw new AppError('rate-limited', 'too many refused enrolments: correct the token and wait', {
    retryAfterMs: Math.ceil(waitMs),
  });
}
