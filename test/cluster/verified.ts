/** What holds for any cluster that is where it shall be: every component VERIFIED with evidence, and nothing left to do. */
import assert from 'node:assert/strict';
import type { Cluster } from '../lab/clusters.ts';
import type { FleetView } from '../lab/fleet-view.ts';

const CHECKS = ['UNIT', 'JOURNAL', 'HANDSHAKE', 'CLUSTER'].map((kind) => `CHECK_KIND_${kind}`);

/** Waits for every component, each so long, and asserts that all its checks passed and have evidence. */
export async function assertVerified(
  { components: wanted }: Cluster,
  view: FleetView,
  mostMs: number,
  say: (text: string) => void,
): Promise<void> {
  for (const [node, components] of Object.entries(wanted)) {
    for (const component of components) {
      const { restarts = 0, reloads = 0, checks = [] } = await view.until(node, component, ['VERIFIED'], mostMs);
      say(`${node} ${component} is VERIFIED: ${restarts} restarts, ${reloads} live`);
      for (const kind of component === 'admin' ? CHECKS.slice(2) : CHECKS) {
        const check = checks.find((each) => each.kind === kind);
        assert.equal(check?.result, 'CHECK_RESULT_PASSED', `${node} ${component} ${kind}: ${JSON.stringify(check)}`);
        assert.ok((check?.evidence ?? []).length > 0, `${node} ${component} ${kind} has no evidence`);
      }
    }
  }
}

/**
 * Asserts that each component was restarted once, whatever it needed: the API server for its certificates, its etcd and the roots of
 * kubelets together.
 */
export async function assertRestartedOnce({ components }: Cluster, view: FleetView): Promise<void> {
  const restarts: Record<string, number> = {};
  for (const [node, all] of Object.entries(components)) {
    for (const component of all.filter((each) => each !== 'admin')) {
      restarts[`${node} ${component}`] = (await view.component(node, component))?.restarts ?? 0;
    }
  }
  assert.deepEqual(restarts, Object.fromEntries(Object.keys(restarts).map((name) => [name, 1])));
}

/** Asserts that `plan` finds nothing to do on any host. */
export async function assertNothingLeft({ hosts }: Cluster): Promise<void> {
  for (const { host } of hosts) {
    const plan = await host.run(['kube-mtls-agent', 'plan']);
    assert.equal(plan.code, 0, `${host.name}: ${plan.stdout}${plan.stderr}`);
  }
}

/** Asserts that every API server shows and believes certificates of the new CA alone; the old one is what kubeadm made. */
export async function assertNewCaAlone(cluster: Cluster): Promise<void> {
  const pki = '/etc/kubernetes/pki';
  for (const { host } of cluster.hosts.filter(({ role }) => role === 'control-plane')) {
    const url = `https://${host.ip}:6443`;
    const served = await host.run(['curl', '-s', '--cacert', `${pki}/ca.crt`, `${url}/readyz`]);
    assert.equal(served.code, 60, `the API server of ${host.name} still serves a certificate of the old CA`);
    const client = `--cert ${pki}/apiserver-kubelet-client.crt --key ${pki}/apiserver-kubelet-client.key`;
    const known = await host.sh(`curl -sk -o /dev/null -w '%{http_code}' ${client} ${url}/apis`);
    assert.equal(known, '401', `the API server of ${host.name} still believes a certificate of the old CA`);
  }
  await assertNothingLeft(cluster);
}
