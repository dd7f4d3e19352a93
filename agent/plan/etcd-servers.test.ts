import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { NodePlan } from './change.ts';
import { FakeCluster } from './fake-cluster.ts';
import { apiserverCommand, kubeadmApiserverCommand, manifestText } from './fake-parts.ts';
import { applyAll, changeOf, flagsOf, groupsOf, on, textsOf } from './plan-for-tests.ts';
import { planNode } from './plan-node.ts';

const everywhere = 'ETCD_LISTEN_CLIENT_URLS=http://0.0.0.0:2379\nETCD_ADVERTISE_CLIENT_URLS=http://10.77.0.10:2379\n';
const other = { id: 'b2', name: 'cp2', peerUrls: ['http://10.77.0.12:2380'], clientUrls: ['http://etcd2.lan:2379'] };

/** Plans cp1 whose etcd turns to TLS, with an API server that names etcd so. */
async function planWith(
  servers: string,
  test: (plan: NodePlan, cluster: FakeCluster) => void | Promise<void>,
  { defaults = everywhere, more = '' } = {},
): Promise<void> {
  const apiserver =
    apiserverCommand.replace('--etcd-servers=http://127.0.0.1:2379', `'--etcd-servers=${servers}'`) + more;
  await on(FakeCluster.controlPlane({ apiserver, etcd: { defaults } }), async (cluster) => {
    cluster.members = [...(cluster.members ?? []), other];
    await test(await cluster.plan(), cluster);
  });
}

describe('an etcd that turns to TLS', () => {
  const unclear: [what: string, servers: string, options?: { defaults?: string; more?: string; shown?: string }][] = [
    ['a name that nothing explains', 'http://etcd.cluster.internal:2379'],
    ['the same while etcd listens on localhost only', 'http://etcd.cluster.internal:2379', { defaults: '# nothing\n' }],
    ['an address that nobody knows, while etcd listens on all', 'http://10.99.0.1:2379'],
    ['a name by TLS without a certificate', 'https://etcd.cluster.internal:2379'],
    ['what another member calls itself', 'http://cp2:2379'],
    ['a name without a scheme', 'etcd.cluster.internal:2379'],
    ['a name without a scheme and without a port', 'etcd.cluster.internal'],
    ['an address of this node without a port', '10.77.0.10'],
    ['a name for this host that nothing explains', 'ip6-localhost:2379'],
    ['a name that begins like an address', 'http://127.example.com:2379'],
    ['an address with a zone', 'http://[fe80::1%%25eth0]:2379', { shown: 'http://[fe80::1%25eth0]:2379' }],
    ['an IPv6 address without brackets', '::1:2379'],
    ['a unix socket', 'unix:///run/etcd.sock'],
    ['a scheme that nobody knows', 'ftp://10.77.0.12:2379'],
    ['a URL with one slash', 'http:/127.0.0.1:2379'],
    ['a quoted name', '"http://etcd.cluster.internal:2379"', { shown: 'http://etcd.cluster.internal:2379' }],
    ['a quote that does not end', '"http://127.0.0.1:2379'],
    [
      'a name without a scheme by TLS without a certificate',
      'etcd.cluster.internal:2379',
      { more: ' --etcd-keyfile=/c.key' },
    ],
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
          assert.ok(message.includes(options?.shown ?? servers), message);
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
    [
      'a name without a scheme by TLS with a certificate',
      'etcd.cluster.internal:2379',
      { more: ' --etcd-certfile=/c.crt --etcd-keyfile=/c.key' },
    ],
    ['the address of another member without a scheme', '10.77.0.12:2379'],
    ['another member by a quoted URL', '"http://10.77.0.12:2379"'],
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

  const overrides: [written: string, shown: string][] = [
    ['/events#http://127.0.0.1:2379;http://10.77.0.12:2379', 'http://127.0.0.1:2379'],
    ['/events#10.77.0.12:2379;127.0.0.1:2379', '127.0.0.1:2379'],
    ['"/events#HTTP://localhost:2379/"', 'HTTP://localhost:2379/'],
    ['/events#unix:///run/etcd.sock', 'unix:///run/etcd.sock'],
    ['/events#http://10.77.0.12:2379 --etcd-servers-overrides=/leases#127.0.0.1:2379', '127.0.0.1:2379'],
  ];
  for (const [written, shown] of overrides) {
    it(`is held up by an override that names it without TLS: ${written}`, () =>
      planWith(
        'http://10.77.0.12:2379',
        (plan) => {
          assert.deepEqual(groupsOf(plan), [['kube-apiserver']]);
          assert.ok(plan.problems[0]?.message.includes(` ${shown} for etcd`), JSON.stringify(plan.problems));
          assert.match(plan.problems[0]?.message ?? '', /take it out of there if --etcd-servers names it too/);
        },
        { more: ` '--etcd-servers-overrides=${written.replace(' ', "' '")}'` },
      ));
  }

  const coupled: [servers: string, after: string][] = [
    ['127.0.0.1:2379', 'https://127.0.0.1:2379'],
    ['localhost:2379', 'https://localhost:2379'],
    ['LocalHost.:2379', 'https://LocalHost.:2379'],
    ['HTTP://127.0.0.1:2379', 'https://127.0.0.1:2379'],
    ['http://127.0.0.1:2379/', 'https://127.0.0.1:2379/'],
    ['CP1:2379', 'https://CP1:2379'],
    ['10.77.0.10:2379', 'https://10.77.0.10:2379'],
    ['http://[::ffff:127.0.0.1]:2379', 'https://[::ffff:127.0.0.1]:2379'],
    ['"127.0.0.1:2379"', 'https://127.0.0.1:2379'],
    ['"http://127.0.0.1:2379","10.77.0.10:2379"', 'https://127.0.0.1:2379,https://10.77.0.10:2379'],
    ['127.0.0.1:2379, http://10.77.0.10:2379', 'https://127.0.0.1:2379,https://10.77.0.10:2379'],
    // who is dialled at no address, or at one that our certificates do not name, is dialled at loopback
    ['0.0.0.0:2379', 'https://127.0.0.1:2379'],
    ['http://[::]:2379', 'https://127.0.0.1:2379'],
    [':2379', 'https://127.0.0.1:2379'],
    ['http://127.0.1.1:2379', 'https://127.0.0.1:2379'],
  ];
  for (const [servers, after] of coupled) {
    it(`takes the API server along that names it ${servers}`, () =>
      planWith(servers, async (_, cluster) => {
        const plan = await applyAll(cluster);
        assert.deepEqual(groupsOf(plan)[0], ['etcd', 'kube-apiserver']);
        const [text = ''] = Object.values(textsOf(changeOf(plan, 'kube-apiserver')));
        assert.equal(flagsOf(text)['etcd-servers'], after);
      }));
  }

  it('leaves the API server as it is when it is gone for a while', () =>
    planWith('0.0.0.0:2379', async (_, cluster) => {
      await applyAll(cluster);
      const input = await cluster.input();
      const components = input.detected.components.filter(({ component }) => component !== 'etcd');
      assert.deepEqual(planNode({ ...input, detected: { ...input.detected, components } }).changes, []);
    }));

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
