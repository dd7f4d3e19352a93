import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { create } from '@bufbuild/protobuf';
import { timestampMs } from '@bufbuild/protobuf/wkt';
import { AppError } from '../../common/errors/app-error.ts';
import { FakeClock } from '../../common/time/fake-clock.ts';
import { until } from '../../common/time/until-for-tests.ts';
import { CheckPeersRequestSchema } from '../../proto/gen/kubemtls/v1/agent_pb.js';
import { CheckKind, CheckResult } from '../../proto/gen/kubemtls/v1/types_pb.js';
import { classify } from '../journal/classify.ts';
import { FindingLog } from '../journal/finding-log.ts';
import { FakeLink } from '../link/fake-link.ts';
import { askPeers } from './ask-peers.ts';
import { OwnCalls } from './own-calls.ts';

const sinceMs = Date.UTC(2026, 0, 1);
const distrusts =
  'E0101 00:00:00.000000 1 reflector.go:138] failed to list *v1.Node: Get "https://10.0.0.1:6443/api/v1/nodes": ' +
  'x509: certificate signed by unknown authority';

/** A node whose API server changed, and whose clock is so far ahead of the server's. */
function begin(aheadMs = 0) {
  const clock = new FakeClock();
  const findings = new FindingLog(clock);
  const own = new OwnCalls(clock);
  const offsetMs = clock.monotonicMs() - (clock.nowMs() - aheadMs);
  const link = new FakeLink(new Map());
  const stop = new AbortController();
  const complain = (atMs: number) => {
    const entry = {
      ...{ cursor: 'c', realtimeMs: atMs, unit: 'kubelet.service', identifier: '', pid: 1, invocationId: '' },
      ...{ message: distrusts, fromSystemd: false },
    };
    findings.add({ speaker: 'kubelet', finding: classify('kubelet', entry) ?? assert.fail('not understood'), entry });
  };
  const subject = {
    component: 'kube-apiserver',
    endpoints: ['10.0.0.1:6443'],
    sharedEndpoints: [],
    serial: '1a',
    sinceMs: clock.monotonicMs(),
    permitId: 'p1',
  } as const;
  const deps = {
    clock,
    findings,
    own,
    link,
    offsetMs: () => offsetMs,
    probe: async () => assert.fail('nobody is called'),
  };
  const ask = () => askPeers(deps, { ...subject, endpoints: [...subject.endpoints], sharedEndpoints: [] }, stop.signal);
  return { clock, link, stop, complain, ask };
}

describe('askPeers', () => {
  it('asks with the time by the server’s clock, and hands on the word', async () => {
    const { link, ask } = begin(60_000);
    let askedMs = 0;
    link.instead.peers = (request) => {
      const { since } = create(CheckPeersRequestSchema, request);
      askedMs = since === undefined ? 0 : timestampMs(since);
      return { check: { kind: CheckKind.PEERS, result: CheckResult.SKIPPED, summary: 'nobody talks to it' } };
    };
    assert.deepEqual(await ask(), { kind: 'peers', result: 'skipped', summary: 'nobody talks to it', evidence: [] });
    assert.equal(askedMs, sinceMs - 60_000); // this node is ahead
  });

  const nothing: [what: string, answer: () => object][] = [
    [
      'the server fails',
      () => {
        throw new AppError('internal', 'nobody answers');
      },
    ],
    ['the server answers without a check', () => ({})],
    ['the server answers with a check of another version', () => ({ check: { kind: CheckKind.PEERS, result: 99 } })],
  ];
  for (const [what, answer] of nothing) {
    it(`is a failed check when ${what}`, async () => {
      const { link, ask } = begin();
      link.instead.peers = answer;
      const { kind, result, summary } = await ask();
      assert.deepEqual([kind, result], ['peers', 'failed']);
      assert.match(summary, /^the server (could not ask the peers: nobody answers|answered without a check)/);
    });
  }

  it('asks a server again that restarts meanwhile', async () => {
    const { clock, link, ask } = begin();
    let calls = 0;
    link.instead.peers = () => {
      if (++calls < 3) throw new AppError('unavailable', 'the server is stopping', { retryAfterMs: 5000 });
      return { check: { kind: CheckKind.PEERS, result: CheckResult.PASSED, summary: '1 peer has no complaint' } };
    };
    const answer = ask();
    await clock.advance(10_000);
    assert.equal((await answer).result, 'passed');
    assert.equal(calls, 3);
  });

  it('fails when the server stays away', async () => {
    const { clock, link, ask } = begin();
    link.instead.peers = () => {
      throw new AppError('unavailable', 'nobody answers');
    };
    const answer = ask();
    await clock.advance(140_000);
    assert.deepEqual(
      [(await answer).result, (await answer).summary],
      ['failed', 'the server could not ask the peers: nobody answers'],
    );
  });

  it('fails when a component of this very node complains since the change, and does so again, whatever others say', async () => {
    const { clock, complain, ask } = begin();
    complain(sinceMs - 1);
    assert.equal((await ask()).result, 'passed');
    complain(sinceMs + 1);
    const answer = ask();
    await until(() => clock.sleeping === 1, 'the wait for the second complaint');
    await clock.advance(10_000);
    complain(clock.nowMs());
    await clock.advance(5_000);
    const { result, summary, evidence } = await answer;
    assert.deepEqual([result, evidence[0]?.line], ['failed', distrusts]);
    assert.match(summary, /components on this node complain about kube-apiserver: unknown-authority/);
  });

  for (const stepMs of [3_600_000, -3_600_000]) {
    it(`hears a complaint again, or hears that it is over, when the wall clock is set by ${stepMs} ms meanwhile`, async () => {
      for (const isOver of [false, true]) {
        const { clock, complain, ask } = begin();
        await clock.advance(1000);
        complain(clock.nowMs());
        await clock.advance(1000);
        const answer = ask();
        await until(() => clock.sleeping === 1, 'the wait for the second complaint');
        clock.step(stepMs);
        await clock.advance(10_000);
        if (!isOver) complain(clock.nowMs());
        await clock.advance(5_000);
        assert.equal((await answer).result, isOver ? 'passed' : 'failed');
      }
    });

    it(`asks for the same time of the server when the wall clock is set by ${stepMs} ms, and gives up as late`, async () => {
      const { clock, link, ask } = begin();
      let askedMs = 0;
      link.instead.peers = (request) => {
        const { since } = create(CheckPeersRequestSchema, request);
        askedMs = since === undefined ? 0 : timestampMs(since);
        throw new AppError('unavailable', 'nobody answers', { retryAfterMs: 10_000 });
      };
      let isOver = false;
      clock.step(stepMs);
      const answer = ask().finally(() => {
        isOver = true;
      });
      await clock.advance(60_000);
      clock.step(stepMs);
      await clock.advance(59_999);
      assert.deepEqual([askedMs, isOver], [sinceMs, false]);
      await clock.advance(20_000);
      assert.equal((await answer).result, 'failed');
    });
  }

  it('passes when what a component of this node complained of is over', async () => {
    const { clock, complain, ask } = begin();
    complain(sinceMs + 1);
    await clock.advance(1000);
    const answer = ask();
    await until(() => clock.sleeping === 1, 'the wait for the second complaint');
    await clock.advance(15_000);
    assert.equal((await answer).result, 'passed');
  });

  it('rejects when the signal fires', async () => {
    const { link, stop, ask } = begin();
    link.instead.peers = () => {
      stop.abort();
      throw new AppError('unavailable', 'the call was cut');
    };
    await assert.rejects(ask(), { name: 'AbortError' });
  });
});
