/** A member of etcd whose wire is long and bad: 80 ms there and back, and two of a hundred packets are lost. */
import assert from 'node:assert/strict';
import { describe } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import type { Beside } from '../lab/beside.ts';
import { startPlainEtcd } from '../lab/etcd-cluster.ts';
import { startWriter, writerTable } from '../lab/etcd-writer.ts';
import { joinNode, startServer } from '../lab/fleet.ts';
import { FleetSteps } from '../lab/fleet-steps.ts';
import type { Host } from '../lab/host.ts';
import { Operator } from '../lab/operator.ts';
import { stepsOnLab } from '../lab/steps.ts';
import type { WriterReport } from '../lab/write-etcd.ts';

const VERIFIED_MS = 420_000;
/** Each way. */
const DELAY_MS = 40;
const LOST_IN_THOUSAND = 20;

describe('a member of etcd at the end of a bad wire', () => {
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
    await lab().slowLink('e2', DELAY_MS, LOST_IN_THOUSAND);
    await startPlainEtcd(hosts);
    await startServer(hosts[0], { cluster: 'far', apiEndpoint: `${hosts[0].ip}:6443`, peerWatch: '3s' });
    operator = await Operator.of(hosts[0]);
  });

  step('is as far away as it is said to be', async () => {
    const [e1, e2] = hosts;
    const connected = `curl -s -o /dev/null -w '%{time_connect}' http://${e2.ip}:2379/health`;
    const times = await e1.sh(`for n in 1 2 3 4 5; do ${connected}; echo; done`);
    const least = Math.min(...times.trim().split('\n').map(Number));
    assert.ok(least >= 0.08 && least < 0.2, `a connection took ${least} s`);
  });

  step('becomes mutual TLS with the others, and no acknowledged write is lost', async () => {
    const [e1] = hosts;
    writer = startWriter(hosts);
    for (const host of hosts) await joinNode(e1, host, { role: host === e1 ? 'control-plane' : 'etcd' });
    const wanted = Object.fromEntries(hosts.map(({ name }) => [name, ['etcd'] as const]));
    await new FleetSteps(operator, say).untilVerified(wanted, VERIFIED_MS);
    await delay(3000); // a few writes more, all over mutual TLS
    const report = await writer.stop();
    writer = undefined;
    console.log(writerTable(report));
    assert.equal(report.lost, 0);
    assert.ok(report.overTls > 20, 'no write went over mutual TLS');
    assert.ok(report.acknowledged > 200, 'too few writes to prove anything');
  });
});
