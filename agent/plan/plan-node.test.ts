import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { NodePlan } from './change.ts';
import { lifetimeMs, makeAuthority, nowMs } from './fake-authorities.ts';
import { FakeCluster, type FakeParts } from './fake-cluster.ts';
import { managerCommands, managerKubeconfigs } from './fake-parts.ts';
import { assertDone, groupsOf as groups, on } from './plan-for-tests.ts';

const controlPlane = (test: (cluster: FakeCluster) => Promise<void>, parts?: FakeParts) =>
  on(FakeCluster.controlPlane(parts), test);
const worker = (test: (cluster: FakeCluster) => Promise<void>, parts?: FakeParts) =>
  on(FakeCluster.worker(parts), test);

const blocked = ({ problems }: NodePlan) => problems.map(({ component }) => component);
const component = ({ changes }: NodePlan, name: string) =>
  changes.flatMap(({ components }) => components).find((each) => each.component === name);
const fileOf = (plan: NodePlan, name: string, path: RegExp) =>
  component(plan, name)?.files.find((file) => path.test(file.path))?.after.text ?? '';

describe('planNode on the lab', () => {
  it('turns a lone plaintext etcd and its API server to mutual TLS in one change, once', () =>
    controlPlane(async (cluster) => {
      const plan = await cluster.plan();
      assert.deepEqual(plan.problems, []);
      assert.deepEqual(groups(plan), [['etcd', 'kube-apiserver']]);
      assert.deepEqual(component(plan, 'etcd')?.memberUpdate, {
        memberId: 'a1',
        before: ['http://localhost:2380'],
        after: ['https://localhost:2380'],
      });
      assert.match(fileOf(plan, 'etcd', /etcd\.env$/), /^ETCD_LISTEN_CLIENT_URLS=https:\/\/localhost:2379$/m);
      assert.match(fileOf(plan, 'kube-apiserver', /50-kube-mtls/), /--etcd-servers=https:\/\/127\.0\.0\.1:2379 \\$/m);
      await cluster.apply(plan);
      await assertDone(cluster);
    }));

  it('gives the kubelet of a worker its certificates, once', () =>
    worker(async (cluster) => {
      const plan = await cluster.plan();
      assert.deepEqual(groups(plan), [['kubelet']]);
      assert.deepEqual(
        component(plan, 'kubelet')?.slots.map(({ file, dnsNames, ipAddresses }) => [file, dnsNames, ipAddresses]),
        [
          ['serving', ['w1'], ['10.77.0.11']],
          ['client', [], []],
          ['probe-client', [], []],
        ],
      );
      await cluster.apply(plan);
      await assertDone(cluster);
    }));

  it('keeps the names of the certificate that the API server serves', () =>
    controlPlane(async (cluster) => {
      const serving = component(await cluster.plan(), 'kube-apiserver')?.slots[0];
      assert.ok(serving?.dnsNames.includes('api.example.com'));
      assert.ok(serving?.dnsNames.includes('kubernetes.default.svc.cluster.local'));
      assert.deepEqual(serving?.ipAddresses, ['10.77.0.10', '10.96.0.1', '127.0.0.1']);
    }));

  it('plans a node with everything in the order of the components, etcd with its API server', () =>
    controlPlane(async (cluster) => {
      await cluster.addKubelet({ command: '/opt/bin/kubelet --kubeconfig=/etc/kubernetes/kubelet.conf' });
      await cluster.addManager('kube-scheduler');
      await cluster.addManager('kube-controller-manager');
      await cluster.addProxy();
      await cluster.addAdmin();
      assert.deepEqual(groups(await cluster.plan()), [
        ['etcd', 'kube-apiserver'],
        ['kube-controller-manager'],
        ['kube-scheduler'],
        ['kubelet'],
        ['kube-proxy'],
        ['admin'],
      ]);
      await cluster.apply(await cluster.plan());
      await assertDone(cluster);
    }));

  it('changes an etcd that speaks TLS already and its API server one after the other', () =>
    on(FakeCluster.bareControlPlane(), async (cluster) => {
      for (const each of ['etcd', 'kube-apiserver'] as const) await cluster.addPod(each);
      cluster.members = [{ id: 'a1', name: 'cp1', peerUrls: ['https://10.77.0.10:2380'], clientUrls: [] }];
      assert.deepEqual(groups(await cluster.plan()), [['etcd'], ['kube-apiserver']]);
    }));

  it('goes on with the others while the server has not decided about etcd', () =>
    controlPlane(async (cluster) => {
      cluster.settings = { ...cluster.settings, etcdStep: undefined };
      await cluster.addManager('kube-scheduler');
      const plan = await cluster.plan();
      assert.deepEqual([groups(plan), plan.problems], [[['kube-apiserver'], ['kube-scheduler']], []]);
      assert.match(fileOf(plan, 'kube-apiserver', /50-kube/), /--etcd-servers=http:\/\/127\.0\.0\.1:2379/);
      await cluster.apply(plan);
      await assertDone(cluster);
    }));
});

describe('planNode over the life of certificates', () => {
  it('renews the whole folder at two thirds of the lifetime, without touching files', () =>
    worker(async (cluster) => {
      await cluster.apply(await cluster.plan());
      cluster.nowMs = nowMs + lifetimeMs * 0.56;
      await assertDone(cluster);
      cluster.nowMs = nowMs + lifetimeMs * 0.67;
      const [change] = (await cluster.plan()).changes;
      assert.equal(change?.components[0]?.slots.length, 3);
      assert.deepEqual(change?.components[0]?.files, []);
      assert.match(change?.components[0]?.slots[0]?.reason ?? '', /^expires 2026-04-01/);
      cluster.nowMs = nowMs + lifetimeMs;
      const [late] = (await cluster.plan()).changes;
      assert.match(late?.components[0]?.slots[0]?.reason ?? '', /^expired/);
      assert.equal(late?.fingerprint, change?.fingerprint);
    }));

  it('gives the same wish the same fingerprint under a new identifier, and another wish another', () =>
    worker(async (cluster) => {
      const [first] = (await cluster.plan()).changes;
      cluster.nowMs += 1000;
      const [again] = (await cluster.plan()).changes;
      assert.equal(again?.fingerprint, first?.fingerprint);
      assert.notEqual(again?.changeId, first?.changeId);
      cluster.settings = { ...cluster.settings, addresses: ['10.77.0.12'] };
      const [other] = (await cluster.plan()).changes;
      assert.notEqual(other?.fingerprint, first?.fingerprint);
    }));

  it('asks for no name just because a certificate of ours has it, so that the server can take names back', () =>
    worker(async (cluster) => {
      await cluster.apply(await cluster.plan());
      const { pem, keyPem } = await cluster.issue('kubernetes', ['w1', 'once.example.com'], ['10.77.0.11']);
      await cluster.node.write('/etc/kube-mtls/pki/kubelet/current/serving.crt', pem);
      await cluster.node.write('/etc/kube-mtls/pki/kubelet/current/serving.key', keyPem);
      await assertDone(cluster);
      cluster.nowMs += lifetimeMs;
      assert.deepEqual(component(await cluster.plan(), 'kubelet')?.slots[0]?.dnsNames, ['w1']);
    }));

  it('issues anew when an address is added to the node', () =>
    worker(async (cluster) => {
      await cluster.apply(await cluster.plan());
      cluster.settings = { ...cluster.settings, addresses: ['10.77.0.11', '10.77.0.99'] };
      const slots = component(await cluster.plan(), 'kubelet')?.slots;
      assert.equal(slots?.[0]?.reason, 'names changed: 10.77.0.99 missing');
      assert.match(slots?.[1]?.reason ?? '', /^renewed with the others/);
    }));

  it('puts back what somebody changed in our drop-in', () =>
    controlPlane(async (cluster) => {
      await cluster.apply(await cluster.plan());
      const path = '/etc/systemd/system/kube-apiserver.service.d/50-kube-mtls.conf';
      await cluster.node.write(path, '[Service]\n');
      assert.deepEqual(groups(await cluster.plan()), [['kube-apiserver']]);
    }));

  it('verifies kubelets once the server says so, and then for good', () =>
    controlPlane(async (cluster) => {
      await cluster.apply(await cluster.plan());
      cluster.settings = { ...cluster.settings, kubeletVerification: 'with-restart' };
      await assertDone(cluster); // not for that alone
      cluster.settings = { ...cluster.settings, kubeletVerification: 'at-once' };
      const plan = await cluster.plan();
      assert.deepEqual(groups(plan), [['kube-apiserver']]);
      assert.match(fileOf(plan, 'kube-apiserver', /50-kube/), /--kubelet-certificate-authority=\S*kubelet-ca\.crt/);
      await cluster.apply(plan);
      cluster.settings = { ...cluster.settings, kubeletVerification: 'no' };
      await assertDone(cluster);
    }));

  it('verifies kubelets from the first restart on where the server says so before it', () =>
    controlPlane(async (cluster) => {
      cluster.settings = { ...cluster.settings, kubeletVerification: 'with-restart' };
      const plan = await cluster.plan();
      assert.match(fileOf(plan, 'kube-apiserver', /50-kube/), /--kubelet-certificate-authority=\S*kubelet-ca\.crt/);
      await cluster.apply(plan);
      await assertDone(cluster);
    }));
});

describe('planNode refuses', () => {
  it('to drop a root that clients are verified with, and holds etcd up with the API server', () =>
    controlPlane(async (cluster) => {
      await cluster.node.write('/etc/kubernetes/pki/ca.crt', (await makeAuthority('kubernetes')).certificate.pem);
      const plan = await cluster.plan();
      assert.deepEqual(plan.changes, []);
      assert.deepEqual(blocked(plan), ['etcd', 'kube-apiserver']);
      assert.match(plan.problems[1]?.message ?? '', /^trust would change: client-ca-file trusts .* --adopt/);
      assert.match(plan.problems[0]?.message ?? '', /together with kube-apiserver/);
    }));

  it('to drop the second root of a bundle, and takes an expired one for none', () =>
    worker(async (cluster) => {
      const other = await makeAuthority('old kubernetes');
      const path = '/etc/kubernetes/pki/ca.crt';
      await cluster.node.write(path, cluster.rootPem('kubernetes') + other.certificate.pem);
      const message = (await cluster.plan()).problems[0]?.message ?? '';
      assert.match(message, /CN=old kubernetes .*; take it out of the file if nobody needs it/);
      assert.doesNotMatch(message, /start the CA server/, 'it has the CA of the cluster already');
      cluster.nowMs = other.certificate.notAfter.getTime() + 1;
      assert.deepEqual((await cluster.plan()).problems, []);
    }));

  it('a root of the same name with another key in a kubeconfig', () =>
    worker(async (cluster) => {
      const impostor = Buffer.from((await makeAuthority('kubernetes')).certificate.pem).toString('base64');
      const text = cluster.kubeconfig().replace(/(certificate-authority-data: ).*/, `$1${impostor}`);
      await cluster.node.write('/etc/kubernetes/kubelet.conf', text);
      const plan = await cluster.plan();
      assert.deepEqual(plan.changes, []);
      assert.match(plan.problems[0]?.message ?? '', /certificate-authority trusts CN=kubernetes \(sha256:/);
    }));

  it('to guess at roots that cannot be read', () =>
    worker(async (cluster) => {
      await cluster.node.write('/etc/kubernetes/pki/ca.crt', 'no certificate\n');
      const plan = await cluster.plan();
      assert.deepEqual([plan.changes, blocked(plan)], [[], ['kubelet']]);
      assert.match(plan.problems[0]?.message ?? '', /cannot be read/);
      assert.equal(plan.problems[0]?.path, '/etc/kubernetes/pki/ca.crt');
    }));

  it('components that the role does not have', () =>
    worker(async (cluster) => {
      await cluster.addApiserver('/opt/bin/kube-apiserver --etcd-servers=http://10.0.0.1:2379');
      await cluster.addManager('kube-scheduler');
      await cluster.addAdmin();
      const plan = await cluster.plan();
      assert.deepEqual([groups(plan), blocked(plan)], [[['kubelet']], ['kube-apiserver', 'kube-scheduler', 'admin']]);
    }));

  it('components of a kubeconfig that they share, by its path', () =>
    on(FakeCluster.bareControlPlane(), async (cluster) => {
      await cluster.addManager('kube-scheduler');
      await cluster.addManager('kube-controller-manager');
      const shared = managerKubeconfigs['kube-scheduler'];
      const command = managerCommands['kube-controller-manager'].replace(/--kubeconfig=\S+/, `--kubeconfig=${shared}`);
      await cluster.addUnit('kube-controller-manager', command);
      await cluster.addAdmin();
      const plan = await cluster.plan();
      assert.deepEqual([groups(plan), blocked(plan)], [[['admin']], ['kube-controller-manager', 'kube-scheduler']]);
      assert.match(plan.problems[0]?.message ?? '', /is used by kube-scheduler too/);
      assert.match(plan.problems[0]?.path ?? '', /scheduler\.conf$/);
    }));

  it('to go on without roots from the server', () =>
    worker(async (cluster) => {
      const { signers } = cluster;
      const without = new FakeCluster(
        cluster.node,
        new Map([...signers].filter(([name]) => name !== 'kubernetes')),
        cluster.settings,
      );
      const { problems, changes } = await without.plan();
      assert.deepEqual(changes, []);
      assert.ok(problems.some(({ message }) => /gave no roots of the kubernetes CA/.test(message)));
    }));

  it('to make etcd demand certificates beside an API server that is not understood', () =>
    controlPlane(async (cluster) => {
      await cluster.addApiserver('/bin/sh -c "exec kube-apiserver"');
      const plan = await cluster.plan();
      assert.deepEqual(plan.changes, []);
      assert.deepEqual(blocked(plan), ['kube-apiserver', 'etcd']);
    }));

  it('a kubelet with another name than the node', () =>
    worker(async (cluster) => {
      cluster.settings = { ...cluster.settings, nodeName: 'w2' };
      assert.match((await cluster.plan()).problems[0]?.message ?? '', /--node-name w1/);
    }));

  it('a kubelet that calls with a token, by the name of its kubeconfig', () =>
    worker(async (cluster) => {
      const text = cluster.kubeconfig().replace(/ {4}client-certificate-data.*\n.*\n/, '    token: secret\n');
      await cluster.node.write('/etc/kubernetes/kubelet.conf', text);
      const { changes, problems } = await cluster.plan();
      assert.deepEqual(changes, []);
      assert.match(problems[0]?.path ?? '', /kubelet\.conf$/);
      assert.doesNotMatch(problems[0]?.message ?? '', /secret/);
    }));
});
