import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { create, type MessageInitShape } from '@bufbuild/protobuf';
import { durationFromMs, timestampFromMs } from '@bufbuild/protobuf/wkt';
import { Places } from '../../common/run/places.ts';
import { FakeClock } from '../../common/time/fake-clock.ts';
import { PeerQuestionSchema } from '../../proto/gen/kubemtls/v1/agent_pb.js';
import { Component } from '../../proto/gen/kubemtls/v1/types_pb.js';
import type { Detected } from '../detect/detected.ts';
import { classify } from '../journal/classify.ts';
import { FindingLog } from '../journal/finding-log.ts';
import { answerPeerQuestion } from './answer-peer-question.ts';

const untrusted =
  'E0101 00:00:00.000000 1 reflector.go:138] failed to list *v1.Node: Get "https://10.0.0.1:6443/api/v1/nodes": ' +
  'x509: certificate signed by unknown authority';

/** A node whose clock is ahead of the server's by that much, and whose kubelet complained at that time of its own clock. */
function begin(options: { aheadMs?: number; complainedAtMs?: number | number[]; components?: Detected[] | undefined }) {
  const clock = new FakeClock(Date.UTC(2026, 0, 1) + 120_000);
  const findings = new FindingLog(clock);
  const { aheadMs = 0, complainedAtMs = [] } = options;
  const offsetMs = clock.monotonicMs() - (clock.nowMs() - aheadMs);
  const complain = (realtimeMs: number) => {
    const entry = {
      ...{ cursor: 'c', realtimeMs, unit: 'kubelet.service', identifier: 'kubelet', pid: 1 },
      ...{ invocationId: '', message: untrusted, fromSystemd: false },
    };
    const finding = classify('kubelet', entry) ?? assert.fail('the line is not understood');
    findings.add({ speaker: 'kubelet', finding, entry });
  };
  for (const realtimeMs of [complainedAtMs].flat()) complain(realtimeMs);
  const components = 'components' in options ? options.components : [];
  const deps = {
    ...{ clock, findings, offsetMs: () => offsetMs, components: () => components, places: new Places(4, 60) },
    probe: async () => assert.fail('nothing here calls anybody'),
  };
  const ask = (fields: MessageInitShape<typeof PeerQuestionSchema> = {}, signal = new AbortController().signal) =>
    answerPeerQuestion(
      deps,
      create(PeerQuestionSchema, {
        questionId: 'q1',
        component: Component.KUBE_APISERVER,
        endpoints: ['10.0.0.1:6443'],
        watch: durationFromMs(15_000),
        ...fields,
      }),
      signal,
    );
  return { clock, ask, complain };
}

const later = 99; // a number of a later version

describe('answerPeerQuestion', () => {
  it('answers after the watch, and not before', async () => {
    const { clock, ask } = begin({});
    const answer = ask();
    await clock.advance(14_999);
    assert.equal(clock.sleeping, 1);
    await clock.advance(1);
    const { questionId, concerned } = await answer;
    assert.deepEqual([questionId, concerned], ['q1', false]);
  });

  it('watches for two minutes at most', async () => {
    const { clock, ask } = begin({});
    const answer = ask({ watch: durationFromMs(3_600_000) });
    await clock.advance(120_000);
    assert.equal((await answer).questionId, 'q1');
  });

  // the change was at 00:00:10 by the server; this node is 60 s ahead, so by its own clock it was at 00:01:10
  const sinceMs = Date.UTC(2026, 0, 1) + 10_000;
  for (const [what, offsetMs, count] of [
    ['after', 61_000, 1],
    ['before', 59_000, 0],
  ] as const) {
    it(`tells of a complaint ${what} the change, by the server's clock: ${count}`, async () => {
      const { clock, ask } = begin({ aheadMs: 60_000, complainedAtMs: sinceMs + offsetMs });
      const answer = ask({ since: timestampFromMs(sinceMs) });
      await clock.advance(15_000);
      const { complaints, concerned } = await answer;
      assert.deepEqual([complaints.length, concerned], [count, count === 1]);
    });
  }

  for (const stepMs of [3_600_000, -3_600_000]) {
    it(`tells of what was said since the change, and of nothing before, when the wall clock is set by ${stepMs} ms`, async () => {
      for (const isAfter of [false, true]) {
        const { clock, ask, complain } = begin({});
        complain(clock.nowMs());
        await clock.advance(1000);
        const since = timestampFromMs(clock.nowMs()); // the server's clock stays right
        await clock.advance(1000);
        clock.step(stepMs);
        if (isAfter) complain(clock.nowMs());
        const answer = ask({ since });
        await clock.advance(15_000);
        assert.equal((await answer).complaints.length, isAfter ? 1 : 0);
      }
    });
  }

  it('is silent, rather than unconcerned, before the node was looked at', async () => {
    const { clock, ask } = begin({ components: undefined });
    const answer = ask();
    const refused = assert.rejects(answer, { reason: 'unavailable' });
    await clock.advance(15_000);
    await refused;
  });

  it('refuses a component that it does not know', async () => {
    const { ask } = begin({});
    await assert.rejects(ask({ component: later as Component }), { reason: 'invalid-request' });
  });

  it('stops when the signal fires', async () => {
    const { ask } = begin({});
    const stop = new AbortController();
    const answer = ask({}, stop.signal);
    stop.abort();
    await assert.rejects(answer, { name: 'AbortError' });
  });

  it('does not take what another API server at a shared address was said to do already for the one in question', async () => {
    const complainedAtMs = [sinceMs - 5_000, sinceMs + 5_000];
    const shared = { since: timestampFromMs(sinceMs), sharedEndpoints: ['10.0.0.1:6443'] };
    const { clock, ask } = begin({ complainedAtMs });
    const answer = ask(shared);
    await clock.advance(15_000);
    assert.deepEqual((await answer).complaints, []);
  });
});
