import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { create } from '@bufbuild/protobuf';
import { AppError, type Reason } from '../../common/errors/app-error.ts';
import { PeerQuestionSchema } from '../../proto/gen/kubemtls/v1/agent_pb.js';
import { Component, NodeRole } from '../../proto/gen/kubemtls/v1/types_pb.js';
import { begin, settingsMessage } from './session-for-tests.ts';

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

  it('says that all was reported only after it was, and again on every new stream', async (test) => {
    const { clock, board, session, stream, greet } = begin(test);
    board.set('kubelet', { state: 'pending' });
    await greet();
    assert.deepEqual(stream().of('survey'), [], 'nobody has looked yet');
    session.survey(3);
    const { value } = stream().of('survey')[0] ?? assert.fail();
    assert.deepEqual([value.components, value.trustGeneration], [[Component.KUBELET], 3n]);
    stream().fail(new AppError('unavailable', 'broken'));
    await clock.advance(1_000);
    await greet();
    assert.deepEqual(
      stream().said.map((each) => each.case),
      ['hello', 'inventory', 'report', 'survey'],
    );
  });

  it('hands settings on with the offset of its monotonic clock to the server’s time', async (test) => {
    const { clock, heard, greet } = begin(test);
    const serverTimeMs = clock.nowMs() - 5_000;
    await greet({ serverTimeMs });
    assert.deepEqual(
      [heard[0]?.offsetMs, heard[0]?.settings.node.nodeName],
      [clock.monotonicMs() - serverTimeMs, 'w1'],
    );
  });

  it('stays with what it has when settings are no good, and does not come back for them', async (test) => {
    const { streams, heard, stream, settle, greet } = begin(test);
    await greet({ role: NodeRole.UNSPECIFIED });
    assert.equal(heard.length, 0);
    stream().say({ case: 'settings', value: settingsMessage() });
    await settle();
    assert.deepEqual([heard.length, streams.length], [1, 1]);
  });

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
