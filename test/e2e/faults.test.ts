/** What goes wrong on a real cluster: each fault is found, undone, and told with the line that says why. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { type E2e, openE2e } from '../lab/e2e.ts';
import { installPackage, joinLine, joinNode } from '../lab/fleet.ts';
import type { ComponentView } from '../lab/fleet-view.ts';
import { nodes } from '../lab/kubernetes-cluster.ts';

const READYZ = 'kubectl --kubeconfig /etc/kubernetes/admin.conf get --raw /readyz';

describe('faults on a running cluster', () => {
  let e2e: E2e;

  before(async () => {
    e2e = await openE2e();
  });
  after(async () => {
    await e2e?.close();
  });

  /** The cluster as it was: plaintext etcd, kubeadm's certificates, nothing of ours in use. */
  async function assertOld(): Promise<void> {
    const { cp1 } = e2e;
    assert.equal(await cp1.sh(READYZ), 'ok');
    assert.match(await cp1.sh('curl -s http://127.0.0.1:2379/health'), /"true"/);
    const served = await cp1.sh(
      `openssl s_client -connect ${cp1.ip}:6443 </dev/null 2>/dev/null | openssl x509 -noout -serial`,
    );
    assert.equal(served, await cp1.sh('openssl x509 -noout -serial -in /etc/kubernetes/pki/apiserver.crt'));
    assert.match(await nodes(cp1), / Ready /);
    assert.equal(
      (await cp1.run(['bash', '-c', 'ls /etc/systemd/system/*.d/50-kube-mtls.conf /etc/kube-mtls/etcd.env'])).code,
      2,
    );
  }

  /** Makes the unit spoil one of its new files as it starts with them, as only root can. */
  async function spoil(unit: string, script: string): Promise<void> {
    const { cp1 } = e2e;
    await cp1.write(
      '/root/spoil',
      `#!/bin/sh\ncd /etc/kube-mtls/pki/${unit}/current 2>/dev/null || exit 0\n${script}\n`,
      '0755',
    );
    await cp1.write(`/etc/systemd/system/${unit}.service.d/10-fault.conf`, '[Service]\nExecStartPre=+/root/spoil\n');
    await cp1.sh('systemctl daemon-reload');
  }

  /** Lets the change be tried again, and waits until it has failed again. */
  async function failAgain(component: string): Promise<ComponentView> {
    const before = await e2e.view.component('cp1', component);
    await e2e.cp1.sh('kube-mtls rollout resume');
    const status = await e2e.view.until('cp1', component, ['ROLLED_BACK'], 300_000, before);
    await e2e.cp1.sh('rm -r /etc/systemd/system/*.service.d/10-fault.conf; systemctl daemon-reload');
    return status;
  }

  it('an API server whose new certificate a kubelet elsewhere does not trust', async () => {
    const { cp1, w1, view } = e2e;
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
    await assertOld();
    await w1.sh('cp /root/kubelet.conf.good /etc/kubernetes/kubelet.conf; systemctl restart kubelet');
    await cp1.until('w1 to be Ready', async () => (await nodes(cp1)).includes(' Ready '), 60_000);
  });

  it('an API server that does not start with the new flags', async () => {
    await spoil('kube-apiserver', 'echo garbage >serving.crt');
    const status = await failAgain('kube-apiserver');
    assert.match(status.reason ?? '', /journal kube-apiserver\.service: .*failed to find any PEM data/s);
    await assertOld();
  });

  it('an etcd that cannot read its key', async () => {
    await spoil('etcd', 'chown root: server.key peer.key');
    const status = await failAgain('etcd');
    assert.match(status.reason ?? '', /journal etcd\.service: .*permission denied/s);
    await assertOld();
  });

  it('an etcd whose CA file is garbage: active, and refusing everybody', async () => {
    await spoil('etcd', 'echo garbage >client-ca.crt');
    const status = await failAgain('etcd');
    const unit = status.checks?.find(({ kind }) => kind === 'CHECK_KIND_UNIT');
    assert.equal(unit?.result, 'CHECK_RESULT_PASSED', 'it is active all the time');
    assert.match(status.reason ?? '', /journal etcd\.service: rejected connection .*unknown authority/s);
    await assertOld();
  });

  it('stops the rollout each time, and goes on when the operator resumes', async () => {
    const { cp1, operator, view } = e2e;
    const { rollout } = JSON.parse(await operator.call('RolloutService/GetRollout'));
    assert.equal(rollout.paused, true);
    assert.equal(rollout.node, 'cp1');
    await cp1.sh('kube-mtls rollout resume');
    await view.until('cp1', 'etcd', ['VERIFIED'], 300_000);
    await view.until('cp1', 'kube-apiserver', ['VERIFIED'], 300_000);
    assert.equal(await cp1.sh(READYZ), 'ok');
  });
});
