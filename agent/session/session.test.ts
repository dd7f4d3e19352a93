import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { create } from '@bufbuild/protobuf';
import { durationFromMs, timestampFromMs, timestampMs } from '@bufbuild/protobuf/wkt';
import { AppError, type Reason } from '../../common/errors/app-error.ts';
import { silentLog } from '../../common/log/log.ts';
import { FakeClock } from '../../common/time/fake-clock.ts';
import {
  InventorySchema,
  PeerAnswerSchema,
  type PeerQuestion,
  PeerQuestionSchema,
  SettingsSchema,
} from '../../proto/gen/kubemtls/v1/agent_pb.js';
import { Component, NodeRole } from '../../proto/gen/kubemtls/v1/types_pb.js';
import { FakeLink } from '../link/fake-link.ts';
import type { AgentSettings } from '../report/agent-state.ts';
import { StatusBoard } from '../report/status-board.ts';
import { FakeStream } from './fake-stream.ts';
import { Session } from './session.ts';

const cluster = { name: 'lab', apiEndpoint: '10.0.0.1:6443', serviceAddress: '10.96.0.1', dnsDomain: 'cluster.local' };

/** A session that runs against streams which the test holds. */
function begin(test: TestContext) {
  const clock = new FakeClock();
  const board = new StatusBoard(() => clock.nowMs());
  const streams: FakeStream[] = [];
  const link = new FakeLink(new Map());
  link.instead.session = () => {
    const stream = new FakeStream();
    streams.push(stream);
    return stream;
  };
  const heard: { settings: AgentSettings; skewMs: number }[] = [];
  const questions: { question: PeerQuestion; signal: AbortSignal }[] = [];
  const state = {
    permitId: '',
    path: '/x',
    answer: async () => create(PeerAnswerSchema, { questionId: 'q1', concerned: true }),
  };
  const session = new Session({
    link,
    clock,
    log: silentLog,
    board,
    nodeName: 'w1',
    mode: 'enforce',
    heldPermit: () => state.permitId,
    inventory: () => create(InventorySchema, { certificates: [{ path: state.path }] }),
    onSettings: (settings, skewMs) => heard.push({ settings, skewMs }),
    answer: (question, signal) => {
      questions.push({ question, signal });
      return state.answer();
    },
  });
  const stop = new AbortController();
  const running = session.run(stop.signal);
  running.catch(() => undefined); // the test looks at it later, or not at all
  test.after(() => stop.abort());
  const stream = (index = streams.length - 1): FakeStream => streams[index] ?? assert.fail(`no stream ${index} yet`);
  const settle = () => clock.advance(0);
  /** The server's first word, which makes the session stand. */
  const greet = async (settings = {}) => {
    await settle();
    stream().say({ case: 'settings', value: settingsMessage(settings) });
    await settle();
  };
  return { clock, board, link, streams, stream, heard, questions, state, session, stop, running, settle, greet };
}

function settingsMessage(fields: { serverTimeMs?: number; heartbeatMs?: number; role?: NodeRole } = {}) {
  const { serverTimeMs = Date.UTC(2026, 0, 1), heartbeatMs = 10_000, role = NodeRole.WORKER } = fields;
  return create(SettingsSchema, {
    generation: 7n,
    heartbeatInterval: durationFromMs(heartbeatMs),
    serverTime: timestampFromMs(serverTimeMs),
    cluster,
    role,
  });
}

describe('Session', () => {
  it('says hello with every status, and stands once the server has spoken', async (test) => {
    const { board, session, stream, settle, greet } = begin(test);
    board.set('kubelet', { state: 'verified' });
    await settle();
    const [hello] = stream().of('hello');
    assert.deepEqual(
      hello?.value.components.map(({ component }) => component),
      [Component.KUBELET],
    );
    assert.equal(session.state.connected, false);
    await greet();
    assert.equal(session.state.connected, true);
    assert.equal(stream().of('inventory').length, 1);
  });

  it('sends the inventory when it is another than the last, and on every new stream', async (test) => {
    const { clock, state, session, stream, greet } = begin(test);
    const sent = () => stream().of('inventory').length;
    session.sendInventory(); // not connected yet
    await greet();
    session.sendInventory();
    assert.equal(sent(), 1);
    state.path = '/y';
    session.sendInventory();
    session.sendInventory();
    assert.equal(sent(), 2);
    stream().fail(new AppError('unavailable', 'broken'));
    await clock.advance(1_000);
    await greet();
    assert.equal(sent(), 1);
  });

  it('reports every status that changes while it stands, also one between hello and the first word', async (test) => {
    const { board, stream, settle, greet } = begin(test);
    await settle();
    board.set('kubelet', { state: 'applying' });
    assert.equal(stream().of('report').length, 0);
    await greet();
    board.set('kubelet', { state: 'verifying' });
    assert.equal(stream().of('report').length, 2);
  });

  it('hands settings on with the skew: positive when this node is ahead', async (test) => {
    const { clock, heard, greet } = begin(test);
    await greet({ serverTimeMs: clock.nowMs() - 5_000 });
    assert.deepEqual([heard[0]?.skewMs, heard[0]?.settings.node.nodeName], [5_000, 'w1']);
  });

  it('stays with what it has when settings are no good, and does not come back for them', async (test) => {
    const { streams, heard, stream, settle, greet } = begin(test);
    await greet({ role: NodeRole.UNSPECIFIED });
    assert.equal(heard.length, 0);
    stream().say({ case: 'settings', value: settingsMessage() });
    await settle();
    assert.deepEqual([heard.length, streams.length], [1, 1]);
  });

  it('beats at the interval, renewing the permit, and at another one as soon as it is told', async (test) => {
    const { clock, state, stream, settle, greet } = begin(test);
    await greet();
    state.permitId = 'p1';
    await clock.advance(30_000);
    const beats = stream().of('heartbeat');
    assert.deepEqual(
      beats.map(({ value }) => value.permitId),
      ['p1', 'p1', 'p1'],
    );
    const [first] = beats;
    assert.equal(first?.value.nodeTime && timestampMs(first.value.nodeTime), Date.UTC(2026, 0, 1) + 10_000);
    // there and back: never two at once
    for (const heartbeatMs of [5_000, 10_000, 5_000]) {
      stream().say({ case: 'settings', value: settingsMessage({ heartbeatMs }) });
      await settle();
    }
    assert.equal(clock.sleeping, 1);
    await clock.advance(10_000);
    assert.equal(stream().of('heartbeat').length, 5);
  });

  for (const [said, meant] of [
    [0, 1_000],
    [-5_000, 1_000],
    [2 ** 40, 60_000],
  ] as const) {
    it(`takes a heartbeat interval of ${said} ms for ${meant}`, async (test) => {
      const { clock, stream, greet } = begin(test);
      await greet({ heartbeatMs: said });
      await clock.advance(meant - 1);
      assert.equal(stream().of('heartbeat').length, 0);
      await clock.advance(1);
      assert.equal(stream().of('heartbeat').length, 1);
    });
  }

  it('stops beating on a broken stream, and beats on the next', async (test) => {
    const { clock, streams, stream, greet } = begin(test);
    await greet();
    stream().fail(new AppError('unavailable', 'broken'));
    await clock.advance(1_000);
    await greet();
    assert.equal(streams.length, 2);
    assert.equal(clock.sleeping, 1);
    await clock.advance(10_000);
    assert.deepEqual([stream(0).of('heartbeat').length, stream(1).of('heartbeat').length], [0, 1]);
  });

  it('comes back ever more slowly while nobody answers, and says so', async (test) => {
    const { clock, streams, session, stream, settle } = begin(test);
    const gaps: number[] = [];
    for (let turn = 0; turn < 8; turn++) {
      await settle();
      stream().fail(new AppError('unavailable', 'the server cannot be reached: ECONNREFUSED'));
      const fromMs = clock.nowMs();
      const known = streams.length;
      while (streams.length === known) await clock.advance(100);
      gaps.push(clock.nowMs() - fromMs);
    }
    assert.match(session.state.problem, /ECONNREFUSED/);
    assert.deepEqual([session.state.connected, session.state.attempts], [false, 8]);
    gaps.forEach((gap, turn) => {
      const full = Math.min(60_000, 1_000 * 2 ** turn);
      assert.ok(gap >= full / 2 && gap <= full + 100, `${gap} ms at turn ${turn}`);
    });
  });

  for (const [lifeMs, slower] of [
    [0, true],
    [120_000, false],
  ] as const) {
    it(`after sessions of ${lifeMs} ms it comes back ${slower ? 'ever more slowly' : 'at once'}`, async (test) => {
      const { clock, streams, stream, greet } = begin(test);
      let gapMs = 0;
      for (let turn = 0; turn < 6; turn++) {
        await greet();
        await clock.advance(lifeMs);
        stream().end();
        const fromMs = clock.nowMs();
        const known = streams.length;
        while (streams.length === known) await clock.advance(100);
        gapMs = clock.nowMs() - fromMs;
      }
      assert.ok(slower ? gapMs >= 16_000 : gapMs <= 1_100, `${gapMs} ms`);
    });
  }

  const advice: [reason: Reason, words: RegExp][] = [
    ['node-unknown', /join it again with a new token/],
    ['node-revoked', /removed from the fleet/],
    ['unauthenticated', /identity has expired, join it again/],
  ];
  for (const [reason, words] of advice) {
    it(`tells what to do after ${reason}`, async (test) => {
      const { session, stream, settle } = begin(test);
      await settle();
      stream().fail(new AppError(reason, 'no'));
      await settle();
      assert.match(session.state.problem, words);
    });
  }

  it('keeps observations until they can be told, the newest 200 of them', async (test) => {
    const { session, stream, greet } = begin(test);
    for (let count = 0; count < 205; count++) session.observe({ cause: `c${count}` });
    await greet();
    session.observe({ cause: 'live' });
    const told = stream()
      .of('observation')
      .map(({ value }) => value.cause);
    assert.deepEqual([told.length, told[0], told.at(-1)], [201, 'c5', 'live']);
  });

  it('answers questions, on the stream on which they came', async (test) => {
    const { questions, stream, settle, greet } = begin(test);
    await greet();
    stream().say({ case: 'peerQuestion', value: create(PeerQuestionSchema, { questionId: 'q1' }) });
    await settle();
    assert.equal(stream().of('peerAnswer')[0]?.value.questionId, 'q1');
    stream().end();
    await settle();
    assert.equal(questions[0]?.signal.aborted, true); // nobody waits for what is under way still
  });

  it('survives a question that it cannot answer', async (test) => {
    const { clock, state, stream, settle, greet } = begin(test);
    await greet();
    state.answer = async () => {
      throw new AppError('invalid-request', 'unknown component');
    };
    stream().say({ case: 'peerQuestion', value: create(PeerQuestionSchema, { questionId: 'q1' }) });
    await settle();
    await clock.advance(10_000);
    assert.deepEqual([stream().of('peerAnswer').length, stream().of('heartbeat').length], [0, 1]);
  });

  it('ends when the signal fires, connected or not', async (test) => {
    for (const connected of [true, false]) {
      const { stop, stream, running, settle, greet } = begin(test);
      if (connected) await greet();
      await settle();
      stop.abort();
      stream().fail(new DOMException('the call was aborted', 'AbortError')); // as the real stream does
      await assert.rejects(running, { name: 'AbortError' });
    }
  });
});
