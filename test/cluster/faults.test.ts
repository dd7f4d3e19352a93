/** What goes wrong on a real cluster: each fault is found, undone, and told with the line that says why. */
import assert from 'node:assert/strict';
import { describe } from 'node:test';
import { stepsOnCluster } from '../lab/cluster-fleet.ts';
import { startUnitCluster } from '../lab/clusters.ts';
import { installPackage, joinLine, joinNode } from '../lab/fleet.ts';
import type { ComponentView } from '../lab/fleet-view.ts';
import { nodes } from '../lab/kubernetes-cluster.ts';
import { assertOld, READYZ, rolledBack, spoil } from './faults.ts';

describe('faults on a running cluster', () => {
  const { fleet, step } = stepsOnCluster(startUnitCluster);

  const cp1 = () => fleet().cluster.controlPlane;

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

  step('stops the rollout each time, and goes on when the operator resumes', async () => {
    const { operator, view } = fleet();
    const { rollout } = JSON.parse(await operator.call('RolloutService/GetRollout'));
    assert.equal(rollout.paused, true);
    assert.equal(rollout.node, 'cp1');
    await cp1().sh('kube-mtls rollout resume');
    await view.until('cp1', 'etcd', ['VERIFIED'], 300_000);
    await view.until('cp1', 'kube-apiserver', ['VERIFIED'], 300_000);
    assert.equal(await cp1().sh(READYZ), 'ok');
  });
});
