/** Waits for the right to disturb components. */
import { AppError } from '../../common/errors/app-error.ts';
import type { Log } from '../../common/log/log.ts';
import { type Component, components } from '../../common/names/names.ts';
import { Backoff } from '../../common/time/backoff.ts';
import type { Clock } from '../../common/time/clock.ts';
import type { HeldPermit } from '../apply/apply-change.ts';
import type { ServerLink } from '../link/server-link.ts';

/** What a permit is asked for. */
export interface PermitWish {
  components: readonly Component[];
  changeId: string;
  /** For a person. */
  reason: string;
  /** True when nothing will be restarted: granted while the rollout is paused too. */
  live: boolean;
  /** Why the change is not to be made any more, asked before every wish; undefined while it is. */
  outdated(): string | undefined;
  /** Called with a sentence while it is not granted. */
  waiting(detail: string): void;
}

/** Dependencies. */
export interface PermitDeps {
  link: ServerLink;
  clock: Clock;
  log: Log;
}

/** Whatever the server says, it is asked no sooner than this and no later than that. */
const SHORTEST_MS = 500;
const LONGEST_MS = 5 * 60_000;

/**
 * Asks until the permit is granted. While the server cannot be reached it goes on asking, with backoff: without a permit nothing
 * is disturbed. Rejects with an AbortError when the signal fires, with 'conflict' once the change is outdated, and with the
 * server's word when it refuses for good (policy-refused, invalid-request, node-revoked, node-unknown).
 */
export async function acquirePermit(deps: PermitDeps, wish: PermitWish, signal: AbortSignal): Promise<HeldPermit> {
  const backoff = new Backoff({ firstMs: 1_000, maxMs: 30_000 });
  for (;;) {
    const outdated = wish.outdated();
    if (outdated !== undefined) throw new AppError('conflict', outdated);
    try {
      const { agent } = await deps.link.calls();
      const granted = await agent.acquireRestartPermit(
        {
          components: wish.components.map((component) => components.toNumber(component)),
          reason: wish.reason,
          changeId: wish.changeId,
          live: wish.live,
        },
        { signal },
      );
      if (granted.permitId === '') throw new AppError('internal', 'the server granted a permit without an identifier');
      return { permitId: granted.permitId };
    } catch (error) {
      signal.throwIfAborted();
      const failure = AppError.from(error);
      if (!isPassing(failure)) throw failure;
      wish.waiting(failure.message);
      deps.log.debug('restart permit not granted yet', { changeId: wish.changeId, error: failure });
      const askedMs = failure.retryAfterMs;
      // somebody else holds it: ask at the pace that the server gives; nobody answers: back off
      if (askedMs !== undefined) await deps.clock.sleep(Math.min(Math.max(askedMs, SHORTEST_MS), LONGEST_MS), signal);
      else await backoff.wait(deps.clock, signal);
    }
  }
}

/** Gives a permit back; a server that cannot be reached lets it expire. */
export async function releasePermit(deps: PermitDeps, permit: HeldPermit): Promise<void> {
  try {
    const { agent } = await deps.link.calls();
    await agent.releaseRestartPermit({ permitId: permit.permitId });
  } catch (error) {
    deps.log.warn('restart permit not given back, it will expire', { permitId: permit.permitId, error });
  }
}

function isPassing({ reason }: AppError): boolean {
  return reason === 'unavailable' || reason === 'deadline' || reason === 'rate-limited' || reason === 'internal';
}
