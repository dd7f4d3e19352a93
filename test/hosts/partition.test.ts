/** A member of an etcd cluster is cut off from all others, and from the server, in the middle of its change, while somebody writes. */
import assert from 'node:assert/strict';
import { describe } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import type { Beside } from '../lab/beside.ts';
import { startPlainEtcd } from '../lab/etcd-cluster.ts';
import { startWriter, writerTable } from '../lab/etcd-writer.ts';
import { joinNode, startServer } from '../lab/fleet.ts';
import { FleetView } from '../lab/fleet-view.ts';
import type { Host } from '../lab/host.ts';
import { Operator } from '../lab/operator.ts';
import { stepsOnLab } from '../lab/steps.ts';
import type { WriterReport } from '../lab/write-etcd.ts';

const PARTITION_MS = 60_000;
const VERIFIED_MS = 420_000;
const VERIFIED = 'COMPONENT_STATE_VERIFIED';

describe('a member of etcd that is cut off for a minute while it is changed', () => {
  const { lab, say, prepare, step, atEnd } = stepsOnLab();
  let operator: Operator;
  let writer: Beside<WriterReport> | undefined;
  let hosts: [Host, Host, Host];
  atEnd(() => operator?.close());
  atEnd(() => writer?.stop());

  prepare(async () => {
    hosts = [
      await lab().boot('e1', '10.77.0.11'),
      await lab().boot('e2', '10.77.0.12'),
      await lab().boot('e3', '10.77.0.13'),
    ];
    await startPlainEtcd(hosts);
    await startServer(hosts[0], { cluster: 'cut', apiEndpoint: `${hosts[0].ip}:6443`, peerWatch: '3s' });
    operator = await Operator.of(hosts[0]);
  });

  const statesOf = (view: FleetView) =>
    Promise.all(hosts.map(async ({ name }) => (await view.component(name, 'etcd'))?.state ?? 'not there yet'));

  step('loses no acknowledged write, and all end with mutual TLS', async () => {
    const [e1] = hosts;
    const view = new FleetView(operator);
    writer = startWriter(hosts);
    for (const host of hosts) await joinNode(e1, host, { role: host === e1 ? 'control-plane' : 'etcd' });
    await view.until('e2', 'etcd', ['APPLYING', 'RESTARTING', 'VERIFYING'], VERIFIED_MS);
    await lab().setLink('e2', 'down');
    await delay(PARTITION_MS); // what is tried is this time
    await lab().setLink('e2', 'up');

    // a member that was away in its change may have been undone; the operator then lets the rollout go on
    const { paused = false } = JSON.parse(await operator.call('RolloutService/GetRollout')).rollout ?? {};
    say(`the rollout ${paused ? 'was stopped' : 'goes on'}`);
    const endMs = Date.now() + VERIFIED_MS;
    for (let states = await statesOf(view); states.some((state) => state !== VERIFIED); states = await statesOf(view)) {
      assert.ok(Date.now() < endMs, `not all are VERIFIED: ${states.join(', ')}`);
      const { rollout } = JSON.parse(await operator.call('RolloutService/GetRollout'));
      if (rollout?.paused === true) await e1.sh('kube-mtls rollout resume');
      await delay(2000);
    }

    await delay(3000); // a few writes more, all over mutual TLS
    const report = await writer.stop();
    writer = undefined;
    console.log(writerTable(report));
    assert.equal(report.lost, 0);
    assert.ok(report.overTls > 20, 'no write went over mutual TLS');
    assert.ok(report.acknowledged > 200, 'too few writes to prove anything');
  });
});
