/** What goes wrong on a real cluster: each fault is found, undone, and told with the line that says why. */
import assert from 'node:assert/strict';
import { describe } from 'node:test';
import { stepsOnCluster } from '../lab/cluster-fleet.ts';
import { startUnitCluster } from '../lab/clusters.ts';
import { installPackage, joinLine, joinNode } from '../lab/fleet.ts';
import type { ComponentView } from '../lab/fleet-view.ts';
import { nodes } from '../lab/kubernetes-cluster.ts';
import { knock } from '../lab/strangers.ts';
import { assertOld, READYZ, rolledBack, spoil } from './faults.ts';

/** An event in the JSON of the API. */
interface EventView {
  at: string;
  kind: string;
  message: string;
}

describe('faults on a running cluster', () => {
  const { fleet, say, step } = stepsOnCluster(startUnitCluster);

  const cp1 = () => fleet().cluster.controlPlane;

  const w1 = () => fleet().cluster.kubelet;

  /** The scheduler writes to a file, and each line of the kubelet stands behind a prefix. */
  async function logElsewhere(): Promise<void> {
    const unit = '/etc/systemd/system/kube-scheduler.service.d/10-log.conf';
    await cp1().write(unit, '[Service]\nStandardError=append:/var/log/kube-scheduler.log\n');
    await cp1().sh('systemctl daemon-reload; systemctl restart kube-scheduler');
    const wrapper = `#!/bin/bash\nexec /opt/bin/kubelet "$@" 2> >(exec sed -u 's/^/node: /' >&2)\n`;
    await w1().write('/usr/local/bin/kubelet', wrapper, '0755');
    await w1().sh(`sed -i s#/opt/bin/kubelet#/usr/local/bin/kubelet# /etc/systemd/system/kubelet.service
systemctl daemon-reload; systemctl restart kubelet`);
  }

  /** Strangers on both hosts call every port of every component, on both hosts, for so many seconds. */
  async function knockEverywhere(seconds: number): Promise<void> {
    const ports = { [cp1().ip]: [2379, 2380, 6443, 10257, 10259], [w1().ip]: [10250] };
    const targets = Object.entries(ports).flatMap(([ip, all]) => all.map((port) => `${ip}:${port}`));
    const all = await Promise.all([cp1(), w1()].map((host) => knock(host, targets, seconds)));
    for (const { asked, letIn } of all) {
      say(`strangers asked ${asked} times and were let in ${letIn} times`);
      assert.equal(letIn, 0, 'a stranger was let in');
      assert.ok(asked >= seconds * 3, `${asked} calls are too few to prove anything`);
    }
  }

  /** Lets the change be tried again, and waits until it has failed again. */
  async function failAgain(component: string): Promise<ComponentView> {
    const before = await fleet().view.component('cp1', component);
    await cp1().sh('kube-mtls rollout resume');
    return rolledBack(fleet(), component, before);
  }

  step('an API server whose new certificate a kubelet elsewhere does not trust', async () => {
    const { cluster, view } = fleet();
    const { controlPlane: cp1, kubelet: w1 } = cluster;
    // w1's kubelet trusts nothing but the certificate that the API server serves today
    const pinned = (await cp1.sh('base64 -w0 /etc/kubernetes/pki/apiserver.crt')).trim();
    await w1.sh(`cp /etc/kubernetes/kubelet.conf /root/kubelet.conf.good
sed -i 's#certificate-authority-data: .*#certificate-authority-data: ${pinned}#' /etc/kubernetes/kubelet.conf
systemctl restart kubelet`);
    await cp1.until('w1 to be Ready', async () => (await nodes(cp1)).includes(' Ready '), 60_000);
    await installPackage(w1, 'agent');
    await w1.sh(`${await joinLine(cp1, '--role worker --node w1')} --observe`);
    await view.until('w1', 'kubelet', ['DETECTED', 'FAILED'], 60_000);
    await joinNode(cp1, cp1, { role: 'control-plane' });
    const status = await view.until('cp1', 'kube-apiserver', ['ROLLED_BACK'], 300_000);
    assert.match(status.reason ?? '', /peers/);
    assert.match(status.reason ?? '', /node w1/);
    assert.match(JSON.stringify(status.checks), /unknown authority|unknown-authority/);
    await assertOld(cp1);
    await w1.sh('cp /root/kubelet.conf.good /etc/kubernetes/kubelet.conf; systemctl restart kubelet');
    await cp1.until('w1 to be Ready', async () => (await nodes(cp1)).includes(' Ready '), 60_000);
  });

  step('an API server that does not start with the new flags', async () => {
    await spoil(cp1(), 'kube-apiserver', 'echo garbage >serving.crt');
    const status = await failAgain('kube-apiserver');
    assert.match(status.reason ?? '', /journal kube-apiserver\.service: .*failed to find any PEM data/s);
    await assertOld(cp1());
  });

  step('an etcd that cannot read its key', async () => {
    await spoil(cp1(), 'etcd', 'chown root: server.key peer.key');
    const status = await failAgain('etcd');
    assert.match(status.reason ?? '', /journal etcd\.service: .*permission denied/s);
    await assertOld(cp1());
  });

  step('an etcd whose CA file is garbage: active, and refusing everybody', async () => {
    await spoil(cp1(), 'etcd', 'echo garbage >client-ca.crt');
    const status = await failAgain('etcd');
    const unit = status.checks?.find(({ kind }) => kind === 'CHECK_KIND_UNIT');
    assert.equal(unit?.result, 'CHECK_RESULT_PASSED', 'it is active all the time');
    assert.match(status.reason ?? '', /journal etcd\.service: rejected connection .*unknown authority/s);
    await assertOld(cp1());
  });

  step('an API server that trusts another CA and whose log goes nowhere: by proof alone', async () => {
    const otherCa =
      'openssl req -x509 -newkey rsa:2048 -nodes -days 1 -subj /CN=other -keyout /root/other.key -out client-ca.crt';
    await spoil(cp1(), 'kube-apiserver', otherCa, 'StandardOutput=null\nStandardError=null\n');
    const status = await failAgain('kube-apiserver');
    const results = Object.fromEntries((status.checks ?? []).map(({ kind, result }) => [kind, result]));
    assert.equal(results.CHECK_KIND_JOURNAL, 'CHECK_RESULT_INCONCLUSIVE', JSON.stringify(status.checks));
    assert.equal(results.CHECK_KIND_UNIT, 'CHECK_RESULT_PASSED', 'it is active all the time');
    assert.match(status.reason ?? '', /^kube-apiserver: (?:handshake|cluster) check failed: .*401/);
    await assertOld(cp1());
  });

  step('stops the rollout each time, and goes on when the operator resumes, whoever knocks meanwhile', async () => {
    const { operator, view } = fleet();
    const { rollout } = JSON.parse(await operator.call('RolloutService/GetRollout'));
    assert.equal(rollout.paused, true);
    assert.equal(rollout.node, 'cp1');
    await logElsewhere();
    await w1().sh('kube-mtls-agent mode enforce');
    const resumedAtMs = Date.now();
    const knocking = knockEverywhere(180);
    await cp1().sh('kube-mtls rollout resume');
    for (const [host, components] of Object.entries(fleet().cluster.components)) {
      for (const component of components) await view.until(host, component, ['VERIFIED'], 420_000);
    }
    await knocking;
    assert.equal(await cp1().sh(READYZ), 'ok');
    const { events = [] } = JSON.parse(await operator.call('FleetService/ListEvents', { page: { pageSize: 1000 } }));
    const since = (events as EventView[]).filter(({ at }) => Date.parse(at) >= resumedAtMs);
    const bad = since.filter(({ kind }) => /degraded|rolled-back|failed|refused|paused/.test(kind));
    assert.deepEqual(bad, [], 'strangers have undone, degraded or stopped something');
    const observed = since.filter(({ kind }) => kind === 'tls.observed');
    assert.ok(observed.length > 0, 'nothing was seen of them');
    say(`strangers: ${observed.length} observations in ${Math.round((Date.now() - resumedAtMs) / 1000)} s`);
    assert.ok(observed.length < (Date.now() - resumedAtMs) / 1000, `${observed.length} observations`);
    assert.match(observed.map(({ message }) => message).join('\n'), /, \d+ times, /);
  });

  step('is VERIFIED without its log: one goes to a file, one stands behind a prefix', async () => {
    const { view } = fleet();
    const journalOf = async (node: string, component: string) =>
      (await view.component(node, component))?.checks?.find(({ kind }) => kind === 'CHECK_KIND_JOURNAL');
    const elsewhere = await journalOf('cp1', 'kube-scheduler');
    assert.equal(elsewhere?.result, 'CHECK_RESULT_INCONCLUSIVE', JSON.stringify(elsewhere));
    assert.match(elsewhere?.summary ?? '', /^not confirmed by its log: /);
    const prefixed = await journalOf('w1', 'kubelet');
    assert.equal(prefixed?.result, 'CHECK_RESULT_PASSED', JSON.stringify(prefixed));
    assert.match(JSON.stringify(prefixed?.evidence), /node: I\d{4} /);
    const plan = await cp1().run(['kube-mtls-agent', 'plan']);
    assert.equal(plan.code, 0, plan.stdout + plan.stderr);
    assert.match(plan.stdout, /kube-scheduler\.service writes its log to append:\/var\/log\/kube-scheduler\.log/);
  });
});
