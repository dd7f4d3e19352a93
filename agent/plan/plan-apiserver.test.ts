import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { FakeCluster } from './fake-cluster.ts';
import { apiserverCommand } from './fake-parts.ts';
import { planNode } from './plan-node.ts';

const pki = '/etc/kubernetes/pki';

/** Flags of the new command line by name, without our folder; undefined when the API server is left alone. */
async function flagsAfter(cluster: FakeCluster): Promise<Map<string, string> | undefined> {
  const { changes } = await cluster.plan();
  const change = changes
    .flatMap(({ components }) => components)
    .find(({ component }) => component === 'kube-apiserver');
  const text = change?.files[0]?.after.text;
  const lines = text?.split('\n').filter((line) => /^ {4}"?--/.test(line)) ?? [];
  const flags = lines.map((line) =>
    line
      .trim()
      .replace(/ \\$/, '')
      .replaceAll('"', '')
      .replace(/\/\S*\/current\//, '')
      .split(/=(.*)/s),
  );
  return text === undefined ? undefined : new Map(flags.map(([name, value]) => [name?.slice(2) ?? '', value ?? '']));
}

async function withApiserver(command: string, test: (cluster: FakeCluster) => Promise<void>): Promise<void> {
  const cluster = await FakeCluster.controlPlane({ apiserver: command });
  try {
    await test(cluster);
  } finally {
    await cluster.remove();
  }
}

/** An API server without any TLS flag, with a remote etcd. */
const bare = '/opt/bin/kube-apiserver --etcd-servers=http://192.0.2.1:2379 --v=2';

describe('planApiserver', () => {
  it('sets what a bare API server lacks, the request headers of the front proxy included', () =>
    withApiserver(bare, async (cluster) => {
      assert.deepEqual(Object.fromEntries((await flagsAfter(cluster)) ?? []), {
        'etcd-servers': 'http://192.0.2.1:2379',
        v: '2',
        'tls-cert-file': 'serving.crt',
        'tls-private-key-file': 'serving.key',
        'client-ca-file': 'client-ca.crt',
        'kubelet-client-certificate': 'kubelet-client.crt',
        'kubelet-client-key': 'kubelet-client.key',
        'proxy-client-cert-file': 'front-proxy-client.crt',
        'proxy-client-key-file': 'front-proxy-client.key',
        'requestheader-client-ca-file': 'front-proxy-ca.crt',
        'requestheader-allowed-names': 'front-proxy-client',
        'requestheader-username-headers': 'X-Remote-User',
        'requestheader-group-headers': 'X-Remote-Group',
        'requestheader-extra-headers-prefix': 'X-Remote-Extra-',
      });
      await cluster.apply(await cluster.plan());
      assert.deepEqual(await cluster.plan(), { changes: [], problems: [] });
    }));

  it('leaves a remote etcd without TLS alone, and asks for no certificate for it', () =>
    withApiserver(bare, async (cluster) => {
      const { changes } = await cluster.plan();
      assert.deepEqual(
        changes.map(({ components }) => components.map(({ component }) => component)),
        [['etcd'], ['kube-apiserver']],
      );
      const slots = changes[1]?.components[0]?.slots.map(({ file }) => file);
      assert.deepEqual(slots, ['serving', 'kubelet-client', 'front-proxy-client', 'probe-client']);
    }));

  it('takes over the client certificate for etcd members that speak TLS with roots of ours', () =>
    withApiserver(`${bare.replace('http:', 'https:')} --etcd-cafile=/pki/etcd-ca.crt`, async (cluster) => {
      await cluster.node.write('/pki/etcd-ca.crt', cluster.rootPem('etcd'));
      const flags = await flagsAfter(cluster);
      assert.equal(flags?.get('etcd-servers'), 'https://192.0.2.1:2379');
      assert.equal(flags?.get('etcd-certfile'), 'etcd-client.crt');
      await cluster.node.write('/pki/etcd-ca.crt', cluster.rootPem('kubernetes'));
      await cluster.apply(await cluster.plan());
      assert.deepEqual(await cluster.plan(), { changes: [], problems: [] });
    }));

  it('leaves members elsewhere alone that a root of somebody else verifies', () =>
    withApiserver(`${bare.replace('http:', 'https:')} --etcd-cafile=/pki/etcd-ca.crt`, async (cluster) => {
      await cluster.node.write('/pki/etcd-ca.crt', cluster.rootPem('kubernetes'));
      const flags = await flagsAfter(cluster);
      assert.equal(flags?.get('etcd-cafile'), '/pki/etcd-ca.crt');
      assert.equal(flags?.has('etcd-certfile'), false);
      assert.deepEqual((await cluster.plan()).problems, []);
    }));

  it('refuses to drop a root beside one of ours that verifies members elsewhere', () =>
    withApiserver(`${bare.replace('http:', 'https:')} --etcd-cafile=/pki/etcd-ca.crt`, async (cluster) => {
      await cluster.node.write('/pki/etcd-ca.crt', cluster.rootPem('etcd') + cluster.rootPem('kubernetes'));
      assert.equal(await flagsAfter(cluster), undefined);
      assert.match((await cluster.plan()).problems[0]?.message ?? '', /etcd-cafile trusts CN=kubernetes/);
    }));

  it('is not held up by a local etcd with the CA of somebody else that the server has not decided about', async () => {
    const cluster = await FakeCluster.bareControlPlane();
    try {
      for (const component of ['etcd', 'kube-apiserver'] as const) await cluster.addPod(component);
      await cluster.node.write('/etc/kubernetes/pki/etcd/ca.crt', cluster.rootPem('kubernetes'));
      cluster.settings = { ...cluster.settings, etcdStep: undefined };
      const { changes, problems } = await cluster.plan();
      assert.deepEqual(problems, []);
      const text = changes[0]?.components[0]?.files[0]?.after.text ?? '';
      assert.match(text, /--etcd-cafile=\/etc\/kubernetes\/pki\/etcd\/ca\.crt/);
      assert.match(text, /--tls-cert-file=\S*current\/serving\.crt/);
      await cluster.apply({ changes, problems });
      assert.deepEqual(await cluster.plan(), { changes: [], problems: [] });
    } finally {
      await cluster.remove();
    }
  });

  it('adds its name to those that the front proxy may have', () =>
    withApiserver(apiserverCommand.replace('names=front-proxy-client', 'names=aggregator'), async (cluster) => {
      assert.equal((await flagsAfter(cluster))?.get('requestheader-allowed-names'), 'aggregator,front-proxy-client');
    }));

  it('leaves certificates by server name and the service account keys as they are', () =>
    withApiserver(`${apiserverCommand} --tls-sni-cert-key=/sni.crt,/sni.key`, async (cluster) => {
      const flags = await flagsAfter(cluster);
      assert.equal(flags?.get('tls-sni-cert-key'), '/sni.crt,/sni.key');
      assert.equal(flags?.get('service-account-key-file'), `${pki}/sa.pub`);
    }));

  it('keeps the key that tokens are verified with where that was the one of the serving certificate', () =>
    withApiserver(apiserverCommand.replace(/--service-account-key-file=\S+/, ''), async (cluster) => {
      assert.equal((await flagsAfter(cluster))?.get('service-account-key-file'), `${pki}/apiserver.key`);
    }));

  it('leaves that to an external signer', () =>
    withApiserver(
      apiserverCommand.replace(/--service-account-key-file=\S+/, '--service-account-signing-endpoint=/run/signer'),
      async (cluster) => assert.equal((await flagsAfter(cluster))?.has('service-account-key-file'), false),
    ));

  it('replaces a kubelet CA only when it verifies kubelets, and never for other roots', () =>
    withApiserver(`${apiserverCommand} --kubelet-certificate-authority=/pki/kubelet-ca.crt`, async (cluster) => {
      await cluster.node.write('/pki/kubelet-ca.crt', cluster.rootPem('kubernetes') + cluster.rootPem('etcd'));
      assert.equal((await flagsAfter(cluster))?.get('kubelet-certificate-authority'), '/pki/kubelet-ca.crt');
      cluster.settings = { ...cluster.settings, kubeletVerification: 'at-once' };
      assert.equal(await flagsAfter(cluster), undefined);
    }));

  it('compares every root that it would replace', async () => {
    for (const file of ['ca.crt', 'front-proxy-ca.crt']) {
      await withApiserver(apiserverCommand, async (cluster) => {
        await cluster.node.write(`${pki}/${file}`, cluster.rootPem('etcd'));
        assert.equal(await flagsAfter(cluster), undefined, file);
      });
    }
  });

  it('is the same for an etcd on the name or the address of the node', async () => {
    const hosts = new Map(['10.77.0.10', 'cp1', '[::1]', 'LOCALHOST'].map((host) => [host, host]));
    // no certificate of ours names another address of loopback
    for (const [host, after] of hosts.set('127.1.2.3', '127.0.0.1')) {
      await withApiserver(apiserverCommand.replace('127.0.0.1:2379', `${host}:2379`), async (cluster) => {
        assert.equal((await flagsAfter(cluster))?.get('etcd-servers'), `https://${after}:2379`);
      });
    }
  });

  it('takes another port on the node for another etcd', () =>
    withApiserver(apiserverCommand.replace(':2379', ':4001'), async (cluster) => {
      assert.equal((await flagsAfter(cluster))?.get('etcd-servers'), 'http://127.0.0.1:4001');
    }));

  it('leaves another etcd on the node alone that it reaches by TLS with roots of the host', () =>
    withApiserver(apiserverCommand.replace('http://127.0.0.1:2379', 'https://127.0.0.1:4001'), async (cluster) => {
      assert.equal((await flagsAfter(cluster))?.has('etcd-cafile'), false);
    }));

  it('refuses members for some resources that would stay without TLS', () =>
    withApiserver(`${apiserverCommand} --etcd-servers-overrides=/events#http://127.0.0.1:2379`, async (cluster) => {
      const { changes, problems } = await cluster.plan();
      assert.deepEqual(changes, []);
      assert.match(problems[1]?.message ?? '', /--etcd-servers-overrides/);
    }));

  it('decides by what is given alone', () =>
    withApiserver(apiserverCommand, async (cluster) => {
      const input = await cluster.input();
      const twice = [0, 1].map(() => planNode({ ...input, changeId: () => 'same' }));
      assert.deepEqual(twice[0], twice[1]);
    }));
});
