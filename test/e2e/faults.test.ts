/** What goes wrong on a real cluster: each fault is found, undone, and told with the line that says why. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { type E2e, openE2e } from '../lab/e2e.ts';
import { installPackage, joinLine, joinNode } from '../lab/fleet.ts';
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

  /** Lets the change be tried again, with the fault gone or another in its place. */
  async function retry(): Promise<void> {
    await e2e.cp1.sh('kube-mtls rollout resume');
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
    const { cp1, view } = e2e;
    // a drop-in of somebody else's that makes the new files unreadable to it, and to nobody before
    await cp1.write(
      '/etc/systemd/system/kube-apiserver.service.d/10-fault.conf',
      '[Service]\nInaccessiblePaths=-/etc/kube-mtls/pki/kube-apiserver\n',
    );
    await cp1.sh('systemctl daemon-reload');
    await retry();
    const status = await view.until('cp1', 'kube-apiserver', ['ROLLED_BACK'], 300_000);
    await view.until('cp1', 'etcd', ['ROLLED_BACK'], 10_000);
    assert.match(status.reason ?? '', /journal kube-apiserver\.service: .*(permission denied|no such file)/s);
    await assertOld();
    await cp1.sh('rm -r /etc/systemd/system/kube-apiserver.service.d; systemctl daemon-reload');
  });

  it('an etcd that cannot read its key', async () => {
    const { cp1, view } = e2e;
    await cp1.write(
      '/etc/systemd/system/etcd.service.d/10-fault.conf',
      '[Service]\nInaccessiblePaths=-/etc/kube-mtls/pki/etcd\n',
    );
    await cp1.sh('systemctl daemon-reload');
    await retry();
    const status = await view.until('cp1', 'etcd', ['ROLLED_BACK'], 300_000);
    assert.match(status.reason ?? '', /journal etcd\.service: .*permission denied/s);
    await assertOld();
    await cp1.sh('rm -r /etc/systemd/system/etcd.service.d; systemctl daemon-reload');
  });

  it('an etcd whose CA file is garbage: active, and refusing everybody', async () => {
    const { cp1, view } = e2e;
    await cp1.write('/root/garbage.pem', 'this is no certificate\n');
    await cp1.write(
      '/etc/systemd/system/etcd.service.d/10-fault.conf',
      '[Service]\nBindReadOnlyPaths=-/root/garbage.pem:/etc/kube-mtls/pki/etcd/current/client-ca.crt\n',
    );
    await cp1.sh('systemctl daemon-reload');
    await retry();
    const status = await view.until('cp1', 'etcd', ['ROLLED_BACK'], 300_000);
    assert.match(JSON.stringify(status.checks), /unknown authority|data does not contain any valid/);
    await assertOld();
    await cp1.sh('rm -r /etc/systemd/system/etcd.service.d; systemctl daemon-reload');
  });

  it('stops the rollout each time, and goes on when the operator resumes', async () => {
    const { cp1, operator, view } = e2e;
    const { rollout } = JSON.parse(await operator.call('RolloutService/GetRollout'));
    assert.equal(rollout.paused, true);
    assert.equal(rollout.node, 'cp1');
    await retry();
    await view.until('cp1', 'etcd', ['VERIFIED'], 300_000);
    await view.until('cp1', 'kube-apiserver', ['VERIFIED'], 300_000);
    assert.equal(await cp1.sh(READYZ), 'ok');
  });
});
