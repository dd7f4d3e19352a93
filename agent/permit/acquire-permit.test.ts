import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { AppError, type Reason } from '../../common/errors/app-error.ts';
import { silentLog } from '../../common/log/log.ts';
import { FakeClock } from '../../common/time/fake-clock.ts';
import { FakeLink } from '../link/fake-link.ts';
import { acquirePermit, releasePermit } from './acquire-permit.ts';

/** Somebody who wants a permit; the server refuses with each of these first. */
function begin(...refusals: AppError[]) {
  const clock = new FakeClock();
  const link = new FakeLink(new Map());
  const askedAtMs: number[] = [];
  link.instead.acquire = () => {
    askedAtMs.push(clock.nowMs());
    const refusal = refusals.shift();
    if (refusal !== undefined) throw refusal;
  };
  const told: string[] = [];
  const stop = new AbortController();
  const wish = {
    ...{ components: ['etcd'] as const, changeId: 'c1', reason: 'new certificates', live: false },
    outdated: (): string | undefined => undefined,
    waiting: (detail: string) => told.push(detail),
  };
  const acquire = () => acquirePermit({ link, clock, log: silentLog }, wish, stop.signal);
  const gaps = () => askedAtMs.slice(1).map((atMs, index) => atMs - (askedAtMs[index] ?? 0));
  return { clock, link, wish, told, stop, acquire, gaps, askedAtMs };
}

describe('acquirePermit', () => {
  it('has it at once when nobody is in the way', async () => {
    const { told, acquire } = begin();
    assert.deepEqual(await acquire(), { permitId: 'p1' });
    assert.deepEqual(told, []);
  });

  it('asks at the pace that the server gives, and tells why it waits', async () => {
    const busy = () => new AppError('unavailable', 'w2 holds it', { retryAfterMs: 2_000 });
    const { clock, told, acquire, gaps } = begin(busy(), busy(), busy());
    const permit = acquire();
    await clock.advance(6_000);
    assert.deepEqual(await permit, { permitId: 'p1' });
    assert.deepEqual(gaps(), [2_000, 2_000, 2_000]);
    assert.deepEqual(told, ['w2 holds it', 'w2 holds it', 'w2 holds it']);
  });

  it('says that nothing will be restarted', async () => {
    const { link, wish, acquire } = begin();
    wish.live = true;
    await acquire();
    assert.deepEqual(link.asked, ['acquire c1 live']);
  });

  it('gives up once the change is outdated, before it asks again', async () => {
    const { clock, wish, acquire, askedAtMs } = begin(
      new AppError('unavailable', 'w2 holds it', { retryAfterMs: 2_000 }),
    );
    const permit = assert.rejects(acquire(), { reason: 'conflict', message: 'the settings changed' });
    await clock.advance(1_000);
    wish.outdated = () => 'the settings changed';
    await clock.advance(1_000);
    await permit;
    assert.equal(askedAtMs.length, 1);
  });

  for (const [saidMs, meantMs] of [
    [0, 500],
    [-1, 500],
    [2 ** 40, 300_000],
  ] as const) {
    it(`takes a delay of ${saidMs} ms for ${meantMs}`, async () => {
      const { clock, acquire, gaps } = begin(new AppError('unavailable', 'busy', { retryAfterMs: saidMs }));
      const permit = acquire();
      await clock.advance(meantMs);
      await permit;
      assert.deepEqual(gaps(), [meantMs]);
    });
  }

  it('backs off, up to half a minute, while nobody answers', async () => {
    const { clock, acquire, gaps } = begin(...Array.from({ length: 9 }, () => new AppError('unavailable', 'gone')));
    const permit = acquire();
    await clock.advance(300_000);
    await permit;
    gaps().forEach((gap, turn) => {
      const full = Math.min(30_000, 1_000 * 2 ** turn);
      assert.ok(gap >= full / 2 && gap <= full, `${gap} ms at turn ${turn}`);
    });
  });

  const reasons: [reason: Reason, passing: boolean][] = [
    ['unavailable', true],
    ['deadline', true],
    ['rate-limited', true],
    ['internal', true],
    ['policy-refused', false],
    ['invalid-request', false],
    ['unauthenticated', false],
    ['node-unknown', false],
    ['node-revoked', false],
    ['not-found', false],
    ['conflict', false],
  ];
  for (const [reason, passing] of reasons) {
    it(`${passing ? 'asks again after' : 'gives up with'} ${reason}`, async () => {
      const { clock, acquire, askedAtMs } = begin(new AppError(reason, 'no'));
      const permit = acquire();
      if (!passing) return assert.rejects(permit, { reason });
      await clock.advance(1_000);
      await permit;
      assert.equal(askedAtMs.length, 2);
    });
  }

  it('stops when the signal fires while it waits, and while it asks', async () => {
    const waiting = begin(new AppError('unavailable', 'gone'));
    const permit = waiting.acquire();
    const refused = assert.rejects(permit, { name: 'AbortError' });
    await waiting.clock.advance(0);
    waiting.stop.abort();
    await refused;
    const asking = begin();
    asking.link.instead.acquire = () => {
      asking.stop.abort();
      throw new AppError('unavailable', 'the call was cut');
    };
    await assert.rejects(asking.acquire(), { name: 'AbortError' });
  });
});

describe('releasePermit', () => {
  it('gives it back, and is content when that fails: it expires', async () => {
    const { clock, link } = begin();
    await releasePermit({ link, clock, log: silentLog }, { permitId: 'p1' });
    link.instead.release = () => {
      throw new AppError('unavailable', 'gone');
    };
    await releasePermit({ link, clock, log: silentLog }, { permitId: 'p1' });
    assert.deepEqual(link.asked, ['release p1', 'release p1']);
  });
});
