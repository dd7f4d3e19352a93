import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { create } from '@bufbuild/protobuf';
import { timestampMs } from '@bufbuild/protobuf/wkt';
import { PeerQuestionSchema } from '../../proto/gen/kubemtls/v1/agent_pb.js';
import { begin } from './session-for-tests.ts';

it('tells agents a time that goes on whatever is done to the wall clock, by which peers are asked too', async (test) => {
  const { clock, sessions, connect } = await begin(test);
  const startMs = clock.nowMs();
  clock.step(-3_600_000);
  await clock.advance(1000);
  const agent = connect('w1');
  await agent.hello();
  const told = agent.settings().at(-1)?.serverTime;
  assert.equal(told && timestampMs(told), startMs + 1000);
  assert.equal(sessions.serverMs(), startMs + 1000);
});

describe('questions to peers', () => {
  it('come back with the answer, whatever else the agent says', async (test) => {
    const { sessions, connect } = await begin(test);
    const agent = connect('w1');
    await agent.hello();
    const answer = sessions.ask(
      'w1',
      create(PeerQuestionSchema, { questionId: 'q1' }),
      5000,
      new AbortController().signal,
    );
    await agent.say({ case: 'peerAnswer', value: { questionId: 'other' } });
    await agent.say({ case: 'peerAnswer', value: { questionId: 'q1', concerned: true } });
    assert.equal((await answer)?.concerned, true);
  });

  it('are not answered by another node', async (test) => {
    const { clock, sessions, connect } = await begin(test);
    const [asked, liar] = [connect('w1'), connect('cp1')];
    await asked.hello();
    await liar.hello();
    const answer = sessions.ask(
      'w1',
      create(PeerQuestionSchema, { questionId: 'q1' }),
      5000,
      new AbortController().signal,
    );
    await liar.say({ case: 'peerAnswer', value: { questionId: 'q1', concerned: true } });
    await clock.advance(5000);
    assert.equal(await answer, undefined);
  });

  it('are refused when the agent goes away, or is not there: that is no silence', async (test) => {
    const { sessions, connect } = await begin(test);
    const agent = connect('w1');
    await agent.hello();
    const { signal } = new AbortController();
    const answer = sessions.ask('w1', create(PeerQuestionSchema, { questionId: 'q1' }), 5000, signal);
    agent.hangUp();
    await assert.rejects(answer, { reason: 'unavailable', message: 'w1 went away while it was asked' });
    await assert.rejects(sessions.ask('w1', create(PeerQuestionSchema), 5000, signal), { reason: 'unavailable' });
  });
});
