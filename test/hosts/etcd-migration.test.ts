/** A plaintext etcd cluster of three members becomes mutual TLS, and then gets a new CA, while somebody writes to it ten times a second. */
import assert from 'node:assert/strict';
import { describe } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import type { Beside } from '../lab/beside.ts';
import { startPlainEtcd } from '../lab/etcd-cluster.ts';
import { startWriter, writerTable } from '../lab/etcd-writer.ts';
import { joinNode, startServer } from '../lab/fleet.ts';
import { FleetSteps } from '../lab/fleet-steps.ts';
import { FleetView } from '../lab/fleet-view.ts';
import type { Host } from '../lab/host.ts';
import { Operator } from '../lab/operator.ts';
import { PHASES, RootChange } from '../lab/root-change.ts';
import { stepsOnLab } from '../lab/steps.ts';
import type { WriterReport } from '../lab/write-etcd.ts';

/**
 * etcd's election timeout is 1000 ms; a follower waits for one to two of it before it asks for votes, and may have to ask once more
 * (etcd documentation, "Tuning"). A leader that is stopped in order hands over before.
 */
const ELECTION_MS = 3000;
/** One member after another is restarted in each phase: half a minute each, and as much again on a busy machine. */
const PHASE_MS = 300_000;

/** curl's words for a server that took the connection and ended it, with HTTP/1.1: TLS failed, empty reply, failed to send, failed to receive. */
const REFUSED = [35, 52, 55, 56];

const PKI = '/etc/kube-mtls/pki/etcd/current';

describe('a plaintext etcd cluster under load', () => {
  const { lab, say, prepare, step, atEnd } = stepsOnLab();
  let operator: Operator;
  let writer: Beside<WriterReport> | undefined;
  const hosts: Host[] = [];

  prepare(async () => {
    for (const [name, ip] of [
      ['e1', '10.77.0.11'],
      ['e2', '10.77.0.12'],
      ['e3', '10.77.0.13'],
    ] as const) {
      hosts.push(await lab().boot(name, ip));
    }
    await startPlainEtcd(hosts);
  });
  atEnd(() => operator?.close());
  atEnd(() => writer?.stop());

  /** Writes while the cluster is changed, and a little longer; nothing may be lost, nor the leader for longer than an election. */
  async function writesThrough(change: () => Promise<void>): Promise<WriterReport> {
    writer = startWriter(members());
    let report: WriterReport;
    try {
      await change();
      await delay(3000); // a few writes more, all over mutual TLS
    } finally {
      report = await writer.stop();
      writer = undefined;
      console.log(writerTable(report));
    }
    assert.ok(report.acknowledged > 200, 'too few writes to prove anything');
    assert.equal(report.lost, 0);
    assert.ok(report.longestWithoutLeaderMs <= ELECTION_MS, `${report.longestWithoutLeaderMs} ms without a leader`);
    return report;
  }

  function members(): [Host, Host, Host] {
    const [e1, e2, e3] = hosts;
    assert.ok(e1 !== undefined && e2 !== undefined && e3 !== undefined);
    return [e1, e2, e3];
  }

  step(
    'becomes mutual TLS without losing an acknowledged write or its leader for longer than an election',
    async () => {
      const [e1, e2, e3] = members();
      const report = await writesThrough(async () => {
        await startServer(e1, { cluster: 'writer', apiEndpoint: `${e1.ip}:6443`, peerWatch: '3s' });
        operator = await Operator.of(e1);
        const view = new FleetView(operator);
        for (const host of hosts) await joinNode(e1, host, { role: host === e1 ? 'control-plane' : 'etcd' });
        for (const host of hosts) await view.until(host.name, 'etcd', ['VERIFIED'], 240_000);
      });
      assert.ok(report.overTls > 20, 'no write went over mutual TLS');
      for (const { name, ip } of [e1, e2, e3]) {
        const plain = await e1.run(['curl', '-s', '-m', '5', `http://${ip}:2379/health`]);
        // it took the connection and closed it without an answer: empty reply, or reset
        assert.ok([52, 56].includes(plain.code), `curl to ${name} ended with ${plain.code}: ${plain.stdout}`);
        assert.equal(plain.stdout, '', `${name} still speaks plaintext`);
      }
    },
  );

  step('gets a new CA without losing an acknowledged write or its leader for longer than an election', async () => {
    const [e1] = members();
    await e1.sh(`mkdir /root/old; cp ${PKI}/client-ca.crt ${PKI}/healthcheck-client.* /root/old/`);
    const steps = new FleetSteps(operator, say);
    const wanted = Object.fromEntries(hosts.map(({ name }) => [name, ['etcd'] as const]));
    await steps.untilVerified(wanted, PHASE_MS);
    const report = await writesThrough(async () => {
      const change = new RootChange(operator, say);
      await change.begin(e1, ['etcd']);
      for (const phase of PHASES)
        await change.advance(phase, PHASE_MS, async () => void (await steps.unfinished(wanted)));
      await change.assertEnded();
      await steps.untilVerified(wanted, PHASE_MS);
    });
    assert.equal(report.overTls, report.acknowledged, 'a write went over plaintext');
    for (const host of hosts) await assertNewCaAlone(e1, host);
  });

  /** The member believes its own new credentials, shows a certificate that the old root does not know, and refuses an old caller. */
  async function assertNewCaAlone(e1: Host, host: Host): Promise<void> {
    const { name, ip } = host;
    const ask = (roots: string, client: string) => {
      const files = ['--cacert', `${roots}/client-ca.crt`, '--cert', `${client}/healthcheck-client.crt`];
      const key = ['--key', `${client}/healthcheck-client.key`];
      return e1.run(['curl', '-sS', '--http1.1', '-m', '5', ...files, ...key, `https://${ip}:2379/health`]);
    };
    assert.match((await ask(PKI, PKI)).stdout, /"true"/, `${name} refuses a client of the new CA`);
    const served = await ask('/root/old', PKI);
    assert.equal(served.code, 60, `${name} still shows a certificate of the old CA: ${served.stdout}${served.stderr}`);
    const believed = await ask(PKI, '/root/old');
    assert.equal(believed.stdout, '', `${name} still believes a client of the old CA`);
    // with TLS 1.3 the caller may have sent its request by then: it hears the alert, or that the connection is over, before or after it sent
    assert.ok(REFUSED.includes(believed.code), `${name} was not reached: ${believed.code} ${believed.stderr}`);
    const plan = await host.run(['kube-mtls-agent', 'plan']);
    assert.equal(plan.code, 0, `${name}: ${plan.stdout}${plan.stderr}`);
  }
});
