import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { FakeClock } from '../../common/time/fake-clock.ts';
import { OwnCalls } from './own-calls.ts';
import type { ProbeOutcome, ProbeRequest } from './probe.ts';

/** A memory that has seen so many probes, each from a port of its own; a whole verification makes some hundred. */
async function after(count: number): Promise<OwnCalls> {
  const own = new OwnCalls(new FakeClock());
  let port = 20_000;
  const probe = own.remembering(async ({ onConnect }) => {
    onConnect?.(`127.0.0.1:${port++}`);
    return { kind: 'unreachable', detail: '' };
  });
  const { signal } = new AbortController();
  const request: ProbeRequest = {
    ...{ host: '127.0.0.1', port: 2379, tls: undefined, method: 'GET', path: '/', timeoutMs: 1, signal },
  };
  for (let made = 0; made < count; made++) await probe(request);
  return own;
}

describe('OwnCalls', () => {
  it('knows the calls of a long verification for ours, the first and the last', async () => {
    const own = await after(900);
    assert.ok(own.caused('rejected connection from "127.0.0.1:20000" (error "EOF", ServerName "")'));
    assert.ok(own.caused('http: TLS handshake error from 127.0.0.1:20899: remote error: tls: bad certificate'));
    assert.ok(!own.caused('http: TLS handshake error from 127.0.0.1:20900: remote error: tls: bad certificate'));
  });

  it('forgets the oldest, so that it does not grow for ever', async () => {
    const own = await after(5_000);
    assert.ok(!own.caused('rejected connection from "127.0.0.1:20000"'));
    assert.ok(own.caused('rejected connection from "127.0.0.1:24999"'));
  });

  it('takes a line that names no caller for ours while we call, and for three seconds after', async () => {
    const clock = new FakeClock();
    const own = new OwnCalls(clock);
    const line = 'Unable to authenticate the request due to an error: x509: certificate signed by unknown authority';
    const named = 'http: TLS handshake error from 10.0.0.9:1: EOF';
    assert.ok(!own.mayHaveCaused(line, clock.nowMs()));
    const end = Promise.withResolvers<ProbeOutcome>();
    const probe = own.remembering(() => end.promise);
    const { signal } = new AbortController();
    const call = probe({ host: '::1', port: 6443, tls: undefined, method: 'GET', path: '/', timeoutMs: 1, signal });
    assert.deepEqual([own.mayHaveCaused(line, clock.nowMs()), own.mayHaveCaused(named, clock.nowMs())], [true, false]);
    await clock.advance(500);
    end.resolve({ kind: 'unreachable', detail: '' });
    await call;
    await clock.advance(3000);
    const lastMs = clock.nowMs();
    assert.ok(own.mayHaveCaused(line, lastMs) && !own.mayHaveCaused(named, lastMs));
    await clock.advance(1);
    assert.deepEqual([own.mayHaveCaused(line, lastMs), own.mayHaveCaused(line, clock.nowMs())], [true, false]);
  });

  for (const stepMs of [3_600_000, -3_600_000]) {
    it(`goes by the time that went by when the wall clock is set by ${stepMs} ms`, async () => {
      const clock = new FakeClock();
      const own = new OwnCalls(clock);
      const probe = own.remembering(async () => ({ kind: 'unreachable', detail: '' }));
      const { signal } = new AbortController();
      await probe({ host: '::1', port: 6443, tls: undefined, method: 'GET', path: '/', timeoutMs: 1, signal });
      clock.step(stepMs);
      await clock.advance(3000);
      assert.ok(own.mayHaveCaused('Unable to authenticate the request', clock.nowMs()));
      await clock.advance(1);
      assert.ok(!own.mayHaveCaused('Unable to authenticate the request', clock.nowMs()));
    });
  }
});
