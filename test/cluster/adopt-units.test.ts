/** A cluster of systemd units, adopted: looked at first, then changed, and looked into afterwards. */
import assert from 'node:assert/strict';
import { dieAt, recover } from '../lab/agent-deaths.ts';
import { startUnitCluster } from '../lab/clusters.ts';
import { installPackage, joinLine } from '../lab/fleet.ts';
import type { FleetView } from '../lab/fleet-view.ts';
import type { Host } from '../lab/host.ts';
import { nodes } from '../lab/kubernetes-cluster.ts';
import { type Adoption, adoptionTests } from './adopt.ts';
import { assertOld, rolledBack, spoil } from './faults.ts';
import { assertWhole } from './whole.ts';

const PKI = '/etc/kube-mtls/pki';
/** curl's word for a server that took the connection and closed it without an answer: empty reply, or reset. */
const CLOSED_BY_SERVER = [52, 56];

/** Prints when a lease was renewed last. */
function renewalOf(lease: string): string {
  const path = `/apis/coordination.k8s.io/v1/namespaces/${lease}`;
  return `kubectl --kubeconfig /etc/kubernetes/admin.conf get --raw ${path} | grep -oP '"renewTime": *"\\K[^"]+'`;
}

interface Parts {
  cp1: Host;
  w1: Host;
  view: FleetView;
}

function parts({ fleet }: Adoption): Parts {
  const { cluster, view } = fleet();
  return { cp1: cluster.controlPlane, w1: cluster.kubelet, view };
}

function looksFirst(adoption: Adoption): void {
  const { step } = adoption;

  step('is only looked at while a node observes, and plan prints the diff', async () => {
    const { cp1, w1, view } = parts(adoption);
    const files =
      'sha256sum /etc/kubernetes/kubelet.conf /var/lib/kubelet/config.yaml; ls /etc/systemd/system/kubelet.service*';
    const before = await w1.sh(files);
    const pid = await w1.sh('systemctl show -p MainPID kubelet');
    await installPackage(w1, 'agent');
    await w1.sh(`${await joinLine(cp1, '--role worker --node w1')} --observe`);
    await view.until('w1', 'kubelet', ['DETECTED'], 60_000);
    const plan = await w1.run(['kube-mtls-agent', 'plan']);
    assert.equal(plan.code, 2, plan.stdout + plan.stderr);
    assert.match(plan.stdout, /^\+tlsCertFile: \/etc\/kube-mtls\/pki\/kubelet\/current\/serving\.crt/m);
    assert.doesNotMatch(plan.stdout, /PRIVATE KEY|client-key-data: [A-Za-z0-9+/]{20}/);
    assert.equal(await w1.sh(files), before);
    assert.equal(await w1.sh('systemctl show -p MainPID kubelet'), pid);
    assert.equal((await w1.run(['ls', `${PKI}/kubelet`])).code, 2, 'no certificate was asked for');
    adoption.joined.add('w1');
  });
}

/**
 * A change that a fault meets is undone, and one in which the agent is killed is recovered; then the rollout goes on. The worker only
 * observes until then: a kubelet that is being verified while etcd refuses everybody would be undone too.
 */
function failsFirst({ step, fleet, joined }: Adoption): void {
  step('undoes a change that leaves an etcd active and refusing everybody, and stops the rollout', async () => {
    const { cluster, operator } = fleet();
    const { controlPlane: cp1 } = cluster;
    await installPackage(cp1, 'agent');
    await cp1.sh(`${await joinLine(cp1, '--role control-plane --node cp1')} --observe`);
    await fleet().view.until('cp1', 'etcd', ['DETECTED'], 60_000);
    await spoil(cp1, 'etcd', 'echo garbage >client-ca.crt');
    await cp1.sh('kube-mtls-agent mode enforce');
    const status = await rolledBack(fleet(), 'etcd');
    assert.match(status.reason ?? '', /journal etcd\.service: rejected connection .*unknown authority/s);
    await assertOld(cp1);
    const { rollout } = JSON.parse(await operator.call('RolloutService/GetRollout'));
    assert.deepEqual([rollout.paused, rollout.node], [true, 'cp1']);
    joined.add('cp1');
  });

  step('recovers from kill -9 of the agent when it has restarted a unit, and goes on', async () => {
    const { controlPlane: cp1, kubelet: w1 } = fleet().cluster;
    await cp1.sh('kube-mtls-agent mode observe; kube-mtls rollout resume');
    await dieAt(cp1, 'unit-restarted', 'enforce');
    await recover(cp1);
    assert.equal(await assertWhole(cp1), 'old');
    await w1.sh('kube-mtls-agent mode enforce');
    // so that the API server waits for it, and verifies it from its restart on
    await fleet().view.until('w1', 'kubelet', ['PENDING', 'APPLYING', 'VERIFYING', 'VERIFIED'], 60_000);
    await cp1.sh('kube-mtls-agent mode enforce');
  });
}

function looksInto(adoption: Adoption): void {
  const { step, fleet } = adoption;

  step('serves only certificates of the inventory', async () => {
    const { operator, view } = fleet();
    const listed = JSON.parse(await operator.call('FleetService/ListCertificates', { page: { pageSize: 1000 } }));
    const serials = new Set((listed.certificates as { serial: string }[]).map(({ serial }) => serial));
    for (const node of ['cp1', 'w1']) {
      const { certificates = [] } = await view.node(node);
      const ours = certificates.filter(({ consumer }) => /^(etcd|kube-apiserver|kubelet)\b/.test(consumer));
      assert.ok(ours.length >= 4, JSON.stringify(certificates));
      for (const { consumer, path, serial = '', managed } of ours) {
        assert.ok(managed, `${node}: ${consumer} uses ${path}, which is not ours`);
        // roots are the cluster's own
        if (!path.endsWith('-ca.crt'))
          assert.ok(serials.has(serial), `${node}: serial ${serial} of ${path} is unknown`);
      }
    }
  });

  step('etcd refuses plaintext and callers without a certificate', async () => {
    const { cp1 } = parts(adoption);
    const plain = await cp1.run(['curl', '-s', '-m', '5', 'http://127.0.0.1:2379/health']);
    assert.ok(CLOSED_BY_SERVER.includes(plain.code), `curl ended with ${plain.code}: ${plain.stdout}`);
    assert.equal(plain.stdout, '');
    const bare = await cp1.run(['curl', '-sk', '-m', '5', 'https://127.0.0.1:2379/health']);
    assert.notEqual(bare.code, 0, bare.stdout);
    const peer = await cp1.run(['curl', '-sk', '-m', '5', 'https://127.0.0.1:2380/version']);
    assert.notEqual(peer.code, 0, peer.stdout);
  });

  step('the API server refuses certificate-less requests to its APIs, and kubelet serves our certificate', async () => {
    const { cp1, w1 } = parts(adoption);
    const status = await cp1.sh(`curl -sk -o /dev/null -w '%{http_code}' https://${cp1.ip}:6443/api/v1/nodes`);
    assert.match(status, /^(401|403)$/);
    const kubelet = await cp1.sh(`curl -sk -o /dev/null -w '%{http_code}' https://${w1.ip}:10250/pods`);
    assert.equal(kubelet, '401');
    const served = await cp1.sh(
      `openssl s_client -connect ${w1.ip}:10250 </dev/null 2>/dev/null | openssl x509 -noout -serial`,
    );
    const ours = await w1.sh(`openssl x509 -noout -serial -in ${PKI}/kubelet/current/serving.crt`);
    assert.equal(served, ours);
  });

  step('kubectl reaches kubelets through an API server that verifies them', async () => {
    const { cp1 } = parts(adoption);
    assert.match(await cp1.sh('systemctl cat kube-apiserver'), /--kubelet-certificate-authority=/);
    const logs = await cp1.sh(
      'kubectl --kubeconfig /etc/kubernetes/admin.conf get --raw /api/v1/nodes/w1/proxy/healthz',
    );
    assert.equal(logs, 'ok');
  });

  step('keeps keys to the users of their components', async () => {
    const { cp1, w1 } = parts(adoption);
    const modes = await cp1.sh(`find ${PKI} -name '*.key' -printf '%m %u %p\\n'`);
    for (const line of modes.trim().split('\n')) {
      assert.match(line, line.includes('/etcd/') ? /^600 etcd / : /^600 root /);
    }
    assert.match(await w1.sh(`find ${PKI} -name '*.key' -printf '%m %u\\n' | sort -u`), /^600 root\n$/);
  });

  step('goes on working when the CA server and the agents stop, also what restarts meanwhile', async () => {
    const { cp1, w1 } = parts(adoption);
    await cp1.sh('systemctl stop kube-mtls-server kube-mtls-agent');
    await w1.sh('systemctl stop kube-mtls-agent');
    await w1.sh('systemctl restart kubelet');
    await cp1.sh('systemctl restart etcd kube-apiserver kube-controller-manager kube-scheduler', 180_000);
    const restartedMs = Date.now();
    // a node stays Ready for 40 s after its kubelet was cut off: what counts is that the leases go on
    for (const lease of ['kube-node-lease/leases/w1', 'kube-system/leases/kube-controller-manager']) {
      const renewed = async () => Date.parse((await cp1.sh(renewalOf(lease))).trim()) > restartedMs;
      await cp1.until(`${lease} to be renewed`, renewed, 120_000);
    }
    assert.match(await nodes(cp1), / Ready /);
    const healthz = '/api/v1/nodes/w1/proxy/healthz';
    assert.equal(await cp1.sh(`kubectl --kubeconfig /etc/kubernetes/admin.conf get --raw ${healthz}`), 'ok');
    assert.equal(
      (await cp1.run(['systemctl', 'is-active', 'kube-mtls-server', 'kube-mtls-agent'])).stdout,
      'inactive\ninactive\n',
    );
    await cp1.sh('systemctl start kube-mtls-server kube-mtls-agent');
    await w1.sh('systemctl start kube-mtls-agent');
    await fleet().view.until('cp1', 'kube-apiserver', ['VERIFIED'], 60_000);
  });
}

adoptionTests('a cluster of systemd units', startUnitCluster, {
  first: (adoption) => {
    looksFirst(adoption);
    failsFirst(adoption);
  },
  last: looksInto,
});
