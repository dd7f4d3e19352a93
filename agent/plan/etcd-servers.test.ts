import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { NodePlan } from './change.ts';
import { FakeCluster } from './fake-cluster.ts';
import { apiserverCommand, kubeadmApiserverCommand, manifestText } from './fake-parts.ts';
import { changeOf, groupsOf, on } from './plan-for-tests.ts';

const everywhere = 'ETCD_LISTEN_CLIENT_URLS=http://0.0.0.0:2379\nETCD_ADVERTISE_CLIENT_URLS=http://10.77.0.10:2379\n';
const other = { id: 'b2', name: 'cp2', peerUrls: ['http://10.77.0.12:2380'], clientUrls: ['http://etcd2.lan:2379'] };

/** Plans cp1 whose etcd turns to TLS, with an API server that names etcd so. */
async function planWith(
  servers: string,
  test: (plan: NodePlan, cluster: FakeCluster) => void | Promise<void>,
  { defaults = everywhere, more = '' } = {},
): Promise<void> {
  const apiserver = apiserverCommand.replace('http://127.0.0.1:2379', servers) + more;
  await on(FakeCluster.controlPlane({ apiserver, etcd: { defaults } }), async (cluster) => {
    cluster.members = [...(cluster.members ?? []), other];
    await test(await cluster.plan(), cluster);
  });
}

describe('an etcd that turns to TLS', () => {
  const unclear: [what: string, servers: string, options?: { defaults?: string; more?: string }][] = [
    ['a name that nothing explains', 'http://etcd.cluster.internal:2379'],
    ['the same while etcd listens on localhost only', 'http://etcd.cluster.internal:2379', { defaults: '# nothing\n' }],
    ['an address that nobody knows, while etcd listens on all', 'http://10.99.0.1:2379'],
    ['a name by TLS without a certificate', 'https://etcd.cluster.internal:2379'],
    ['what another member calls itself', 'http://cp2:2379'],
  ];
  for (const [what, servers, options] of unclear) {
    it(`is held up by ${what}`, () =>
      planWith(
        servers,
        (plan) => {
          assert.deepEqual(groupsOf(plan), [['kube-apiserver']]);
          assert.deepEqual(
            plan.problems.map(({ component }) => component),
            ['etcd'],
          );
          const [{ message } = { message: '' }] = plan.problems;
          assert.ok(message.includes(servers), message);
          assert.match(message, /may be this member: name it by an address of this node or by localhost/);
        },
        options,
      ));
  }

  const elsewhere: [what: string, servers: string, options?: { defaults?: string; more?: string }][] = [
    ['the address of another member', 'http://10.77.0.12:2379'],
    ['the name by which another member is reached', 'http://etcd2.lan:2379'],
    ['another port', 'http://etcd.cluster.internal:12379'],
    ['an address at which etcd does not listen', 'http://10.99.0.1:2379', { defaults: '# nothing\n' }],
    [
      'a name by TLS with a certificate',
      'https://etcd.cluster.internal:2379',
      { more: ' --etcd-certfile=/c.crt --etcd-keyfile=/c.key' },
    ],
  ];
  for (const [what, servers, options] of elsewhere) {
    it(`is not held up by ${what}`, () =>
      planWith(
        servers,
        (plan) => {
          assert.deepEqual(plan.problems, []);
          assert.deepEqual(groupsOf(plan), [['etcd'], ['kube-apiserver']]);
        },
        options,
      ));
  }

  it('is held up by an override that names it without TLS', () =>
    planWith(
      'http://10.77.0.12:2379',
      (plan) => {
        assert.deepEqual(groupsOf(plan), [['kube-apiserver']]);
        assert.match(plan.problems[0]?.message ?? '', /http:\/\/127\.0\.0\.1:2379/);
      },
      { more: ' --etcd-servers-overrides=/events#http://127.0.0.1:2379;http://10.77.0.12:2379' },
    ));

  it('is not held up while it only prepares', () =>
    planWith('http://etcd.cluster.internal:2379', async (_, cluster) => {
      cluster.settings = { ...cluster.settings, etcdStep: 'prepare' };
      assert.deepEqual((await cluster.plan()).problems, []);
    }));
});

describe('an etcd that is a static pod', () => {
  const rows: [what: string, servers: string | undefined, pods: string[]][] = [
    ['takes the API server along that knows no other', 'https://127.0.0.1:2379', ['kube-apiserver-cp1']],
    ['also by its own address', 'https://127.0.0.1:2379,https://10.77.0.10:2379', ['kube-apiserver-cp1']],
    ['does not take one along that knows another member', 'https://127.0.0.1:2379,https://10.77.0.12:2379', []],
    ['does not take one along that uses another member', 'https://10.77.0.12:2379', []],
    ['does not take one along that does not run here', undefined, []],
  ];
  for (const [what, servers, pods] of rows) {
    it(what, () =>
      on(FakeCluster.bareControlPlane(), async (cluster) => {
        await cluster.addPod('etcd');
        if (servers !== undefined) {
          const command = kubeadmApiserverCommand.replace('https://127.0.0.1:2379', servers);
          await cluster.node.addManifest('kube-apiserver.yaml', manifestText('kube-apiserver', command));
        }
        const { dependants } = changeOf(await cluster.plan(), 'etcd');
        assert.deepEqual(
          dependants?.map(({ process }) => process.pod),
          pods,
        );
      }),
    );
  }
});
