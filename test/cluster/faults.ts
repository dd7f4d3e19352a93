/** Faults of a control plane of units, made as only root can make them, and what has to be left of a change that met one. */
import assert from 'node:assert/strict';
import type { ClusterFleet } from '../lab/cluster-fleet.ts';
import type { Cluster } from '../lab/clusters.ts';
import type { ComponentView } from '../lab/fleet-view.ts';
import type { Host } from '../lab/host.ts';
import { nodes } from '../lab/kubernetes-cluster.ts';

/** Asks the API server for its readiness as an administrator. */
export const READYZ = 'kubectl --kubeconfig /etc/kubernetes/admin.conf get --raw /readyz';

/** The cluster as it was: plaintext etcd, kubeadm's certificates, nothing of ours in use. */
export async function assertOld(cp1: Host): Promise<void> {
  assert.equal(await cp1.sh(READYZ), 'ok');
  assert.match(await cp1.sh('curl -s http://127.0.0.1:2379/health'), /"true"/);
  const served = await cp1.sh(
    `openssl s_client -connect ${cp1.ip}:6443 </dev/null 2>/dev/null | openssl x509 -noout -serial`,
  );
  assert.equal(served, await cp1.sh('openssl x509 -noout -serial -in /etc/kubernetes/pki/apiserver.crt'));
  // while etcd was refusing everybody no kubelet could renew its lease; it tells of itself every ten seconds
  await cp1.until('the node to be Ready', async () => (await nodes(cp1)).includes(' Ready '));
  const ours = 'ls /etc/systemd/system/*.d/50-kube-mtls.conf /etc/kube-mtls/etcd.env';
  assert.equal((await cp1.run(['bash', '-c', ours])).code, 2);
}

/** Makes the unit spoil one of its new files as it starts with them. `more` are lines of its section Service. */
export async function spoil(cp1: Host, unit: string, script: string, more = ''): Promise<void> {
  const folder = `/etc/kube-mtls/pki/${unit}/current`;
  await cp1.write('/root/spoil', `#!/bin/sh\ncd ${folder} 2>/dev/null || exit 0\n${script}\n`, '0755');
  await cp1.write(
    `/etc/systemd/system/${unit}.service.d/10-fault.conf`,
    `[Service]\nExecStartPre=+/root/spoil\n${more}`,
  );
  await cp1.sh('systemctl daemon-reload');
}

/** Waits until the change of a component has failed, after what was seen of it before, and takes the fault away. */
export async function rolledBack(
  { cluster, view }: ClusterFleet<Cluster>,
  component: string,
  before?: ComponentView,
): Promise<ComponentView> {
  const status = await view.until('cp1', component, ['ROLLED_BACK'], 300_000, before);
  await cluster.controlPlane.sh('rm -r /etc/systemd/system/*.service.d/10-fault.conf; systemctl daemon-reload');
  return status;
}
