import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { FleetView } from './fleet-view.ts';

/** A fleet that answers in turn; the last answer is given again and again. */
function fleetOf(...answers: (string | Error)[]): FleetView {
  const call = async (): Promise<string> => {
    const answer = answers.length > 1 ? answers.shift() : answers[0];
    if (typeof answer === 'string') return answer;
    throw answer ?? new Error('no answer was prepared');
  };
  return new FleetView({ call }, 1);
}

const etcd = (state: string) =>
  JSON.stringify({
    components: [{ component: 'COMPONENT_ETCD', updatedAt: 'now', state: `COMPONENT_STATE_${state}` }],
  });

describe('FleetView.until', () => {
  it('waits for the state, whatever goes wrong before', async () => {
    const view = fleetOf(new Error('the server is away'), '{}', etcd('APPLYING'), etcd('VERIFIED'));
    assert.equal((await view.until('cp1', 'etcd', ['VERIFIED'], 60_000)).state, 'COMPONENT_STATE_VERIFIED');
  });

  it('says what it is in, and why the fleet did not answer', async () => {
    const applying = fleetOf(etcd('APPLYING'));
    await assert.rejects(applying.until('cp1', 'etcd', ['VERIFIED'], 5), /is not VERIFIED but \{.*_APPLYING"\s*\}$/s);
    const away = fleetOf(etcd('APPLYING'), new Error('certificate has expired'));
    const words = /not VERIFIED but .*_APPLYING.*and then the fleet did not answer: certificate has expired$/s;
    await assert.rejects(away.until('cp1', 'etcd', ['VERIFIED'], 5), words);
    const never = fleetOf(new Error('no such node'));
    await assert.rejects(never.until('cp1', 'etcd', ['VERIFIED'], 5), /but not known; .*no such node$/);
  });
});
