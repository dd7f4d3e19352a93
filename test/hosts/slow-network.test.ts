/** A member of etcd whose wire is long and bad: 80 ms there and back, and two of a hundred packets are lost. */
import assert from 'node:assert/strict';
import { describe } from 'node:test';
import { onEtcdMembers } from '../lab/etcd-members.ts';

/** Each way. */
const DELAY_MS = 40;
const LOST_IN_THOUSAND = 20;

describe('a member of etcd at the end of a bad wire', () => {
  const { step, hosts, joinAll, untilVerified, writesThrough } = onEtcdMembers('far', (lab) =>
    lab.slowLink('e2', DELAY_MS, LOST_IN_THOUSAND),
  );

  step('is as far away as it is said to be', async () => {
    const [e1, e2] = hosts();
    const connected = `curl -s -o /dev/null -w '%{time_connect}' http://${e2.ip}:2379/health`;
    const times = await e1.sh(`for n in 1 2 3 4 5; do ${connected}; echo; done`);
    const least = Math.min(...times.trim().split('\n').map(Number));
    assert.ok(least >= 0.08 && least < 0.2, `a connection took ${least} s`);
  });

  step('becomes mutual TLS with the others, and no acknowledged write is lost', async () => {
    await writesThrough(async () => {
      await joinAll();
      await untilVerified();
    });
  });
});
