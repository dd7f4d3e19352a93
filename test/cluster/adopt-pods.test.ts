/** A cluster of static pods as kubeadm makes it, adopted while its API server hangs. */
import assert from 'node:assert/strict';
import { startPodCluster } from '../lab/clusters.ts';
import { joinNode } from '../lab/fleet.ts';
import { type Adoption, adoptionTests } from './adopt.ts';

/** kubelet asks the API server before it starts the new etcd; one that has lost its etcd hangs now and then, one that is stopped does too. */
function hangsFirst({ fleet, step, joined }: Adoption): void {
  step('ends an API server on which kubelet waits before it starts the new etcd', async () => {
    const { cluster, view } = fleet();
    const { controlPlane: kp1 } = cluster;
    await joinNode(kp1, kp1, { role: 'control-plane', observe: true });
    joined.add(kp1.name);
    await view.until(kp1.name, 'etcd', ['DETECTED'], 60_000);
    const etcd = await kp1.sh('pgrep -x etcd');
    await kp1.sh('pkill -STOP -x kube-apiserver; kube-mtls-agent mode enforce');
    const log = 'journalctl --no-pager -o cat -u kube-mtls-agent | grep "ending a container" || true';
    const ended = await kp1.until('the API server to be ended', async () => (await kp1.sh(log)) || undefined, 120_000);
    assert.match(ended, /"component":"kube-apiserver"/);
    const startedMs = Date.now();
    await kp1.until('the new etcd', async () => !['', etcd].includes(await kp1.sh('pgrep -x etcd || true')), 30_000);
    console.log(`# etcd runs ${Date.now() - startedMs} ms after the API server was ended`);
    await view.until(kp1.name, 'etcd', ['VERIFIED'], 240_000);
    const { restarts } = (await view.component(kp1.name, 'kube-apiserver')) ?? {};
    assert.ok(Number(restarts) >= 1, 'the end of the API server is not counted as its restart');
  });
}

adoptionTests('a cluster of static pods', startPodCluster, { first: hangsFirst });
