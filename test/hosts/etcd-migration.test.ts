/** A plaintext etcd cluster of three members becomes mutual TLS while somebody writes to it ten times a second. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import type { Beside } from '../lab/beside.ts';
import { startPlainEtcd } from '../lab/etcd-cluster.ts';
import { startWriter, writerTable } from '../lab/etcd-writer.ts';
import { buildPackages, joinNode, startServer } from '../lab/fleet.ts';
import { FleetView } from '../lab/fleet-view.ts';
import type { Host } from '../lab/host.ts';
import { Lab } from '../lab/lab.ts';
import { Operator } from '../lab/operator.ts';
import type { WriterReport } from '../lab/write-etcd.ts';

/**
 * etcd's election timeout is 1000 ms; a follower waits for one to two of it before it asks for votes, and may have to ask once more
 * (etcd documentation, "Tuning"). A leader that is stopped in order hands over before.
 */
const ELECTION_MS = 3000;

describe('a plaintext etcd cluster under load', () => {
  let lab: Lab;
  let operator: Operator;
  let writer: Beside<WriterReport> | undefined;
  const hosts: Host[] = [];

  before(async () => {
    const say = (text: string) => console.log(`# ${text}`);
    await buildPackages(say);
    lab = await Lab.open(say);
    for (const [name, ip] of [
      ['e1', '10.77.0.11'],
      ['e2', '10.77.0.12'],
      ['e3', '10.77.0.13'],
    ] as const) {
      hosts.push(await lab.boot(name, ip));
    }
    await startPlainEtcd(hosts);
  });
  after(async () => {
    await writer?.stop();
    await operator?.close();
    await lab?.close();
  });

  it('becomes mutual TLS without losing an acknowledged write or its leader for longer than an election', async () => {
    const [e1, e2, e3] = hosts;
    assert.ok(e1 !== undefined && e2 !== undefined && e3 !== undefined);
    writer = startWriter([e1, e2, e3]);
    await startServer(e1, { cluster: 'writer', apiEndpoint: `${e1.ip}:6443`, peerWatch: '3s' });
    operator = await Operator.of(e1);
    const view = new FleetView(operator);
    for (const host of hosts) await joinNode(e1, host, { role: host === e1 ? 'control-plane' : 'etcd' });
    for (const host of hosts) await view.until(host.name, 'etcd', ['VERIFIED'], 240_000);
    await delay(3000); // a few writes more, all over mutual TLS
    const report = await writer.stop();
    writer = undefined;
    console.log(writerTable(report));
    assert.ok(report.acknowledged > 200, 'too few writes to prove anything');
    assert.ok(report.overTls > 20, 'no write went over mutual TLS');
    assert.equal(report.lost, 0);
    assert.ok(report.longestWithoutLeaderMs <= ELECTION_MS, `${report.longestWithoutLeaderMs} ms without a leader`);
    for (const { name, ip } of hosts) {
      const plain = await e1.run(['curl', '-s', '-m', '5', `http://${ip}:2379/health`]);
      assert.doesNotMatch(plain.stdout, /"health"/, `${name} still speaks plaintext`);
    }
  });
});
