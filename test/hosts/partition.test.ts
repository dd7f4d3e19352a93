/** A member of an etcd cluster is cut off from all others, and from the server, in the middle of its change, while somebody writes. */
import assert from 'node:assert/strict';
import { describe } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { onEtcdMembers } from '../lab/etcd-members.ts';
import { FleetView } from '../lab/fleet-view.ts';

const PARTITION_MS = 60_000;
const VERIFIED_MS = 420_000;
const VERIFIED = 'COMPONENT_STATE_VERIFIED';

describe('a member of etcd that is cut off for a minute while it is changed', () => {
  const { lab, say, step, hosts, operator, joinAll, writesThrough } = onEtcdMembers('cut');

  const rollout = async (): Promise<{ paused?: boolean }> =>
    JSON.parse(await operator().call('RolloutService/GetRollout')).rollout ?? {};
  const statesOf = (view: FleetView) =>
    Promise.all(hosts().map(async ({ name }) => (await view.component(name, 'etcd'))?.state ?? 'not there yet'));

  step('loses no acknowledged write, and all end with mutual TLS', async () => {
    const [e1] = hosts();
    const view = new FleetView(operator());
    await writesThrough(async () => {
      await joinAll();
      await view.until('e2', 'etcd', ['APPLYING', 'RESTARTING', 'VERIFYING'], VERIFIED_MS);
      await lab().setLink('e2', 'down');
      await delay(PARTITION_MS); // what is tried is this time
      await lab().setLink('e2', 'up');

      // a member that was away in its change may have been undone; the operator then lets the rollout go on
      say(`the rollout ${(await rollout()).paused === true ? 'was stopped' : 'goes on'}`);
      const endMs = Date.now() + VERIFIED_MS;
      for (let states = await statesOf(view); states.some((each) => each !== VERIFIED); states = await statesOf(view)) {
        assert.ok(Date.now() < endMs, `not all are VERIFIED: ${states.join(', ')}`);
        if ((await rollout()).paused === true) await e1.sh('kube-mtls rollout resume');
        await delay(2000);
      }
    });
  });
});
