import assert from 'node:assert/strict';
import { chmod } from 'node:fs/promises';
import { describe, it } from 'node:test';
import { parse } from 'yaml';
import { CERTIFICATE_PEM } from '../detect/certificate-for-tests.ts';
import { FakeCluster } from './fake-cluster.ts';
import { managerKubeconfigs } from './fake-parts.ts';
import { applyAll, changeOf, flagsOf, groupsOf, on, slotsOf, textsOf } from './plan-for-tests.ts';

const kcm = 'kube-controller-manager';
const scheduler = 'kube-scheduler';
const bare = (test: (cluster: FakeCluster) => Promise<void>) => on(FakeCluster.bareControlPlane(), test);

describe('planManager', () => {
  it('gives a controller manager serving certificate, roots and a kubeconfig of files, once', () =>
    bare(async (cluster) => {
      await cluster.addManager(kcm);
      const change = changeOf(await applyAll(cluster), kcm);
      assert.deepEqual(slotsOf(change), ['serving', 'client', 'probe-client']);
      assert.deepEqual(change.slots[0]?.dnsNames, ['cp1', 'localhost']);
      assert.deepEqual(change.slots[0]?.ipAddresses, ['10.77.0.10', '127.0.0.1', '::1']);
      assert.deepEqual(
        change.bundles.map(({ file }) => file),
        ['client-ca.crt', 'root-ca.crt', 'apiserver-ca.crt'],
      );
      const texts = textsOf(change);
      assert.deepEqual(Object.keys(texts), ['controller-manager.conf', '50-kube-mtls.conf'], 'the kubeconfig once');
      const flags = flagsOf(texts['50-kube-mtls.conf'] ?? '');
      assert.equal(flags['tls-cert-file'], 'serving.crt');
      assert.equal(flags['tls-private-key-file'], 'serving.key');
      assert.equal(flags['client-ca-file'], 'client-ca.crt');
      assert.equal(flags['root-ca-file'], 'root-ca.crt');
      assert.equal(flags['requestheader-client-ca-file'], undefined);
      assert.equal(flags['cluster-signing-cert-file'], '/etc/kubernetes/pki/ca.crt');
      assert.equal(flags['service-account-private-key-file'], '/etc/kubernetes/pki/sa.key');
      const { users, clusters } = parse(texts['controller-manager.conf'] ?? '');
      assert.deepEqual(users[0].user, { 'client-certificate': 'client.crt', 'client-key': 'client.key' });
      assert.equal(clusters[0].cluster['certificate-authority'], 'apiserver-ca.crt');
    }));

  it('leaves a controller manager alone whose controllers work with the rights of another user', () =>
    bare(async (cluster) => {
      await cluster.addManager(kcm, ' --use-service-account-credentials=false');
      assert.match((await cluster.plan()).problems[0]?.message ?? '', /cannot be read .*with whose rights/);
      const other = { pem: CERTIFICATE_PEM, keyPem: '' };
      await cluster.node.write(managerKubeconfigs[kcm], cluster.kubeconfig(`system:${kcm}`, other));
      const { changes, problems } = await cluster.plan();
      assert.deepEqual(changes, []);
      assert.match(problems[0]?.message ?? '', /work as "CN=test".*set --use-service-account-credentials=true first/);
      await cluster.addManager(kcm);
      await cluster.node.write(managerKubeconfigs[kcm], cluster.kubeconfig(`system:${kcm}`, other));
      assert.deepEqual((await cluster.plan()).problems, [], 'each controller has a user of its own');
    }));

  it('gives a scheduler the same but roots for pods', () =>
    bare(async (cluster) => {
      await cluster.addManager(scheduler);
      const change = changeOf(await applyAll(cluster), scheduler);
      const flags = flagsOf(textsOf(change)['50-kube-mtls.conf'] ?? '');
      assert.equal(flags['tls-cert-file'], 'serving.crt');
      assert.equal('root-ca-file' in flags, false);
      assert.deepEqual(
        change.slots.map(({ profile }) => profile),
        ['kube-scheduler-serving', 'kube-scheduler-client', 'probe-client'],
      );
    }));

  it('asks for no serving certificate where the serving port is switched off, and leaves --port alone', () =>
    bare(async (cluster) => {
      await cluster.addManager(kcm, ' --secure-port=0 --port=10252 --client-ca-file=/etc/kubernetes/pki/ca.crt');
      const change = changeOf(await applyAll(cluster), kcm);
      assert.deepEqual(slotsOf(change), ['client']);
      const flags = flagsOf(textsOf(change)['50-kube-mtls.conf'] ?? '');
      assert.equal(flags['client-ca-file'], '/etc/kubernetes/pki/ca.crt');
      assert.deepEqual([flags['tls-cert-file'], flags.port, flags['secure-port']], [undefined, '10252', '0']);
      assert.equal(flags['root-ca-file'], 'root-ca.crt');
    }));

  it('replaces the roots of front proxies only where it is given some, and takes our name in', () =>
    bare(async (cluster) => {
      const more =
        ' --requestheader-client-ca-file=/etc/kubernetes/pki/front-proxy-ca.crt --requestheader-allowed-names=a';
      await cluster.addManager(scheduler, more);
      const change = changeOf(await applyAll(cluster), scheduler);
      const flags = flagsOf(textsOf(change)['50-kube-mtls.conf'] ?? '');
      assert.equal(flags['requestheader-client-ca-file'], 'front-proxy-ca.crt');
      assert.equal(flags['requestheader-allowed-names'], 'a,front-proxy-client');
      assert.ok(
        change.bundles.some(({ file, authority }) => file === 'front-proxy-ca.crt' && authority === 'front-proxy'),
      );
    }));

  it('edits every kubeconfig that is named, each once', () =>
    bare(async (cluster) => {
      const more = ' --authentication-kubeconfig=/etc/kubernetes/other.conf';
      await cluster.addManager(scheduler, more);
      await cluster.node.write('/etc/kubernetes/other.conf', cluster.kubeconfig('other'));
      const change = changeOf(await applyAll(cluster), scheduler);
      assert.deepEqual(Object.keys(textsOf(change)), ['scheduler.conf', 'other.conf', '50-kube-mtls.conf']);
    }));

  it('keeps mode and owner of a kubeconfig', () =>
    bare(async (cluster) => {
      await cluster.addManager(scheduler);
      await chmod(cluster.node.path(managerKubeconfigs[scheduler]), 0o600);
      const change = changeOf(await applyAll(cluster), scheduler);
      assert.equal(change.files[0]?.after.mode, 0o600);
    }));

  for (const component of [kcm, scheduler] as const) {
    it(`edits the manifest of the static pod of ${component}, with its comments, and mounts the folder`, () =>
      bare(async (cluster) => {
        await cluster.addPod(component);
        const plan = await applyAll(cluster);
        const change = changeOf(plan, component);
        const manifest = change.files.find(({ restarts }) => restarts);
        const text = manifest?.after.text ?? '';
        assert.match(text, /pki # all of it/);
        const { spec } = parse(text);
        const folder = `${cluster.node.layout.pkiFolder}/${component}`;
        assert.ok(spec.containers[0].command.includes(`--tls-cert-file=${folder}/current/serving.crt`));
        assert.ok(spec.containers[0].volumeMounts.some(({ mountPath }: { mountPath: string }) => mountPath === folder));
        assert.ok(spec.volumes.some((volume: { hostPath?: { path: string } }) => volume.hostPath?.path === folder));
        assert.equal(change.takeUp, 'restart');
        assert.deepEqual(groupsOf(plan), [[component]]);
      }));
  }
});

describe('planManager refuses', () => {
  const rows: [string, (cluster: FakeCluster) => Promise<void>, RegExp][] = [
    [
      'roots for pods of somebody else',
      async (cluster) => {
        await cluster.addManager(kcm);
        await cluster.node.write('/etc/kubernetes/pki/ca.crt', cluster.rootPem('etcd'));
      },
      /trust would change: root-ca-file trusts CN=etcd/,
    ],
    [
      'roots of callers of somebody else',
      async (cluster) => {
        await cluster.addManager(kcm, ' --client-ca-file=/ca.crt');
        await cluster.node.write('/ca.crt', cluster.rootPem('etcd'));
      },
      /trust would change: client-ca-file/,
    ],
    [
      'roots of front proxies of somebody else',
      async (cluster) => {
        await cluster.addManager(scheduler, ' --requestheader-client-ca-file=/ca.crt');
        await cluster.node.write('/ca.crt', cluster.rootPem('etcd'));
      },
      /trust would change: requestheader-client-ca-file/,
    ],
    [
      'a kubeconfig with roots of somebody else',
      async (cluster) => {
        await cluster.addManager(scheduler);
        const text = cluster.kubeconfig('s').replace(/(authority-data: ).*/, `$1${base64(cluster.rootPem('etcd'))}`);
        await cluster.node.write(managerKubeconfigs[scheduler], text);
      },
      /trust would change: certificate-authority/,
    ],
    [
      'a kubeconfig with a token',
      async (cluster) => {
        await cluster.addManager(scheduler);
        const text = cluster.kubeconfig('s').replace(/ {4}client-certificate-data.*\n.*\n/, '    token: x\n');
        await cluster.node.write(managerKubeconfigs[scheduler], text);
      },
      /authenticates by token/,
    ],
  ];
  for (const [what, make, message] of rows) {
    it(what, () =>
      bare(async (cluster) => {
        await make(cluster);
        const { changes, problems } = await cluster.plan();
        assert.deepEqual(changes, []);
        assert.match(problems[0]?.message ?? '', message);
        assert.ok(problems.every(({ component }) => component === kcm || component === scheduler));
      }),
    );
  }
});

function base64(text: string): string {
  return Buffer.from(text).toString('base64');
}
