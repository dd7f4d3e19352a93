import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { NodePlan } from './change.ts';
import { FakeCluster, type FakeParts } from './fake-cluster.ts';
import { apiserverCommand } from './fake-parts.ts';
import type { EtcdMember } from './plan-input.ts';

async function controlPlane(parts: FakeParts, test: (cluster: FakeCluster) => Promise<void>): Promise<void> {
  const cluster = await FakeCluster.controlPlane(parts);
  try {
    await test(cluster);
  } finally {
    await cluster.remove();
  }
}

const etcdOf = ({ changes }: NodePlan) =>
  changes.flatMap(({ components }) => components).find(({ component }) => component === 'etcd');
const textOf = (plan: NodePlan, path: RegExp) => etcdOf(plan)?.files.find((file) => path.test(file.path))?.after.text;
const groups = ({ changes }: NodePlan) => changes.map(({ components }) => components.map((each) => each.component));

/** Settings of our environment file, without the folder. */
function variables(plan: NodePlan): Record<string, string> {
  const lines = (textOf(plan, /etcd\.env$/) ?? '').split('\n').filter((line) => line.startsWith('ETCD_'));
  return Object.fromEntries(
    lines.map((line) =>
      line
        .replace(/\/\S*\/current\//, '')
        .split(/=(.*)/s)
        .slice(0, 2),
    ),
  );
}

const files = {
  ETCD_CERT_FILE: 'server.crt',
  ETCD_KEY_FILE: 'server.key',
  ETCD_TRUSTED_CA_FILE: 'client-ca.crt',
  ETCD_PEER_CERT_FILE: 'peer.crt',
  ETCD_PEER_KEY_FILE: 'peer.key',
  ETCD_PEER_TRUSTED_CA_FILE: 'peer-ca.crt',
};
const switches = { ETCD_CLIENT_CERT_AUTH: 'true', ETCD_PEER_CLIENT_CERT_AUTH: 'true' };

const three: EtcdMember[] = ['a1', 'b2', 'c3'].map((id, index) => ({
  id,
  name: `cp${index + 1}`,
  peerUrls: [`http://10.77.0.1${index}:2380`],
  clientUrls: [`http://10.77.0.1${index}:2379`],
}));
const threeDefaults = [
  'ETCD_LISTEN_CLIENT_URLS="http://10.77.0.10:2379,http://127.0.0.1:2379"',
  'ETCD_ADVERTISE_CLIENT_URLS=http://10.77.0.10:2379',
  'ETCD_LISTEN_PEER_URLS=http://10.77.0.10:2380',
  'ETCD_INITIAL_ADVERTISE_PEER_URLS=http://10.77.0.10:2380',
  'ETCD_INITIAL_CLUSTER=cp1=http://10.77.0.10:2380,cp2=http://10.77.0.11:2380,cp3=http://10.77.0.12:2380\n',
].join('\n');

describe('planEtcd with variables', () => {
  it('prepares a member of three without touching its URLs, and then enforces', () =>
    controlPlane({ etcd: { defaults: threeDefaults } }, async (cluster) => {
      cluster.members = three;
      cluster.settings = { ...cluster.settings, etcdStep: 'prepare' };
      const prepare = await cluster.plan();
      assert.deepEqual(variables(prepare), files);
      assert.deepEqual(groups(prepare), [['etcd'], ['kube-apiserver']]);
      assert.equal(etcdOf(prepare)?.target, 'prepared');
      assert.equal(etcdOf(prepare)?.memberUpdate, undefined);
      await cluster.apply(prepare);
      assert.deepEqual(await cluster.plan(), { changes: [], problems: [] });

      cluster.settings = { ...cluster.settings, etcdStep: 'enforce' };
      const enforce = await cluster.plan();
      assert.deepEqual(groups(enforce), [['etcd', 'kube-apiserver']]);
      assert.deepEqual(variables(enforce), {
        ...files,
        ...switches,
        ETCD_LISTEN_CLIENT_URLS: 'https://10.77.0.10:2379,https://127.0.0.1:2379',
        ETCD_ADVERTISE_CLIENT_URLS: 'https://10.77.0.10:2379',
        ETCD_LISTEN_PEER_URLS: 'https://10.77.0.10:2380',
        ETCD_INITIAL_ADVERTISE_PEER_URLS: 'https://10.77.0.10:2380',
        ETCD_INITIAL_CLUSTER: 'cp1=https://10.77.0.10:2380,cp2=http://10.77.0.11:2380,cp3=http://10.77.0.12:2380',
      });
      assert.deepEqual(etcdOf(enforce)?.memberUpdate?.after, ['https://10.77.0.10:2380']);
      await cluster.apply(enforce);
      assert.deepEqual(await cluster.plan(), { changes: [], problems: [] });
    }));

  it('never leads back from enforced, whatever the step, and plans the same while etcd is down', () =>
    controlPlane({}, async (cluster) => {
      await cluster.apply(await cluster.plan());
      cluster.members = undefined;
      for (const etcdStep of ['prepare', 'enforce', undefined] as const) {
        cluster.settings = { ...cluster.settings, etcdStep };
        assert.deepEqual(await cluster.plan(), { changes: [], problems: [] }, `${etcdStep}`);
      }
    }));

  it('keeps the API server on https while etcd cannot be understood', () =>
    controlPlane({}, async (cluster) => {
      await cluster.apply(await cluster.plan());
      await cluster.addEtcd({ unit: '[Service]\nExecStart=/bin/sh -c etcd\n' });
      const { changes, problems } = await cluster.plan();
      assert.deepEqual([changes, problems.map(({ component }) => component)], [[], ['etcd']]);
    }));

  it('leaves etcd alone until the server has decided', () =>
    controlPlane({}, async (cluster) => {
      cluster.settings = { ...cluster.settings, etcdStep: undefined };
      const plan = await cluster.plan();
      assert.deepEqual([groups(plan), plan.problems], [[['kube-apiserver']], []]);
    }));

  it('advertises the peer URLs of the live member where nobody set any', () =>
    controlPlane({ etcd: { defaults: 'ETCD_LISTEN_PEER_URLS=http://0.0.0.0:2380\n' } }, async (cluster) => {
      cluster.members = [{ id: 'a1', name: 'cp1', peerUrls: ['http://192.0.2.7:2380'], clientUrls: [] }];
      const plan = await cluster.plan();
      assert.equal(variables(plan).ETCD_INITIAL_ADVERTISE_PEER_URLS, 'https://192.0.2.7:2380');
      assert.ok(etcdOf(plan)?.slots[1]?.ipAddresses.includes('192.0.2.7'));
      assert.ok(!etcdOf(plan)?.slots[1]?.ipAddresses.includes('0.0.0.0'));
      await cluster.apply(plan);
      assert.deepEqual((await cluster.plan()).changes, []);
      cluster.members = undefined;
      assert.deepEqual((await cluster.plan()).changes, []);
    }));

  it('writes down initial-cluster for the name "default", whose default keeps http', () =>
    controlPlane({ etcd: { unit: '[Service]\nUser=etcd\nExecStart=/usr/bin/etcd\n' } }, async (cluster) => {
      assert.equal(variables(await cluster.plan()).ETCD_INITIAL_CLUSTER, 'default=https://localhost:2380');
    }));

  it('does not make a TLS listener ask for certificates while it only prepares', () =>
    controlPlane(
      { etcd: { defaults: threeDefaults.replaceAll('http:', 'https:') }, apiserver: apiserverCommand },
      async (cluster) => {
        cluster.members = three;
        cluster.settings = { ...cluster.settings, etcdStep: 'prepare' };
        const { problems } = await cluster.plan();
        assert.ok(problems.some(({ message }) => /without --peer-trusted-ca-file/.test(message)));
        const [alone] = three;
        cluster.members = alone === undefined ? [] : [alone];
        await cluster.addApiserver('/opt/bin/kube-apiserver --etcd-servers=http://10.1.1.1:2379');
        const { ETCD_TRUSTED_CA_FILE, ETCD_PEER_TRUSTED_CA_FILE, ...rest } = files;
        assert.deepEqual(variables(await cluster.plan()), rest);
      },
    ));
});

describe('planEtcd with flags', () => {
  const unit = (flags: string) => `[Service]\nUser=etcd\nExecStart=/usr/bin/etcd ${flags}\n`;

  it('replaces flags in the drop-in and appends the others there, without an environment file', () =>
    controlPlane(
      {
        etcd: {
          unit: unit(
            '--name cp1 --listen-client-urls http://127.0.0.1:2379 --advertise-client-urls=http://127.0.0.1:2379 "--log-level" info',
          ),
        },
      },
      async (cluster) => {
        const plan = await cluster.plan();
        assert.equal(textOf(plan, /etcd\.env$/), undefined);
        const text = textOf(plan, /50-kube-mtls\.conf$/) ?? '';
        assert.match(
          text,
          /^ExecStart=\nExecStart=\/usr\/bin\/etcd \\\n {4}--name cp1 \\\n {4}--listen-client-urls=https:\/\/127\.0\.0\.1:2379 \\$/m,
        );
        assert.match(text, /^ {4}"--log-level" \\\n {4}info \\$/m);
        assert.match(text, /^ {4}--client-cert-auth=true( \\)?$/m);
        assert.doesNotMatch(text, /EnvironmentFile/);
        await cluster.apply(plan);
        assert.deepEqual(await cluster.plan(), { changes: [], problems: [] });
      },
    ));

  it('keeps each setting where it came from, since both at once are fatal', () =>
    controlPlane(
      {
        etcd: {
          unit: `${unit('--listen-peer-urls=http://127.0.0.1:2380 $ARGS')}Environment=ETCD_NAME=cp1 ETCD_CERT_FILE= ETCD_LISTEN_CLIENT_URLS=http://127.0.0.1:2379 ETCD_ADVERTISE_CLIENT_URLS=http://127.0.0.1:2379\n`,
        },
      },
      async (cluster) => {
        const plan = await cluster.plan();
        const set = Object.keys(variables(plan));
        assert.deepEqual(set, ['ETCD_CERT_FILE', 'ETCD_LISTEN_CLIENT_URLS', 'ETCD_ADVERTISE_CLIENT_URLS']);
        const text = textOf(plan, /50-kube-mtls\.conf$/) ?? '';
        for (const variable of set) {
          assert.doesNotMatch(text, new RegExp(`--${variable.slice(5).toLowerCase().replaceAll('_', '-')}\\b=`));
        }
        assert.match(text, /--listen-peer-urls=https:/);
        await cluster.apply(plan);
        assert.deepEqual(await cluster.plan(), { changes: [], problems: [] });
      },
    ));
});

describe('planEtcd with a configuration file', () => {
  it('edits the file and makes no drop-in', () =>
    controlPlane(
      { etcd: { unit: '[Service]\nUser=etcd\nExecStart=/usr/bin/etcd --config-file=/etc/etcd.yml\n' } },
      async (cluster) => {
        await cluster.node.write('/etc/etcd.yml', 'name: cp1 # me\nlisten-client-urls: http://127.0.0.1:2379\n');
        const plan = await cluster.plan();
        assert.deepEqual(plan.problems, []);
        assert.equal(etcdOf(plan)?.files.length, 1);
        const text = textOf(plan, /etcd\.yml$/) ?? '';
        assert.match(text, /^name: cp1 # me\nlisten-client-urls: "https:\/\/127\.0\.0\.1:2379"\n/);
        assert.match(text, /^peer-transport-security:\n {2}cert-file: \S+\/peer\.crt\n/m);
        assert.match(text, /^initial-advertise-peer-urls: "https:\/\/localhost:2380"$/m);
        await cluster.apply(plan);
        assert.deepEqual(await cluster.plan(), { changes: [], problems: [] });
      },
    ));

  it('names the line that cannot be edited', () =>
    controlPlane(
      { etcd: { unit: '[Service]\nUser=etcd\nExecStart=/usr/bin/etcd --config-file=/etc/etcd.yml\n' } },
      async (cluster) => {
        await cluster.node.write('/etc/etcd.yml', 'name: cp1\nlisten-peer-urls: [http://127.0.0.1:2380]\n');
        const { problems } = await cluster.plan();
        assert.match(problems[0]?.message ?? '', /listen-peer-urls is no single value/);
        assert.match(problems[0]?.path ?? '', /\/etc\/etcd\.yml$/);
      },
    ));
});

describe('planEtcd with pairs of its own for outgoing connections', () => {
  it('replaces them, since they come from the same CA', () =>
    controlPlane(
      { etcd: { defaults: 'ETCD_CLIENT_CERT_FILE=/old.crt\nETCD_CLIENT_KEY_FILE=/old.key\n' } },
      async (cluster) => {
        const { ETCD_CLIENT_CERT_FILE, ETCD_CLIENT_KEY_FILE, ETCD_PEER_CLIENT_CERT_FILE } = variables(
          await cluster.plan(),
        );
        assert.deepEqual(
          [ETCD_CLIENT_CERT_FILE, ETCD_CLIENT_KEY_FILE, ETCD_PEER_CLIENT_CERT_FILE],
          ['server.crt', 'server.key', undefined],
        );
      },
    ));
});

describe('planEtcd refuses', () => {
  const rows: [string, string, RegExp][] = [
    ['certificates that etcd signs itself', 'ETCD_AUTO_TLS=true\n', /--auto-tls/],
    ['certificates that peers sign themselves', 'ETCD_PEER_AUTO_TLS=1\n', /--peer-auto-tls/],
    ['a list of names that ours is not in', 'ETCD_PEER_CERT_ALLOWED_CN=peer\n', /--peer-cert-allowed-cn/],
  ];
  for (const [what, defaults, message] of rows) {
    it(what, () =>
      controlPlane({ etcd: { defaults } }, async (cluster) => {
        const { changes, problems } = await cluster.plan();
        assert.deepEqual([changes, problems.map(({ component }) => component)], [[], ['etcd', 'kube-apiserver']]);
        assert.match(problems[0]?.message ?? '', message);
      }),
    );
  }

  it('to enforce while the member does not answer', () =>
    controlPlane({}, async (cluster) => {
      cluster.members = undefined;
      const { changes, problems } = await cluster.plan();
      assert.deepEqual([changes, problems.length], [[], 2]);
      assert.match(problems[0]?.message ?? '', /make it healthy first/);
    }));

  it('to enforce while the API server names other members without TLS', () =>
    controlPlane(
      { apiserver: apiserverCommand.replace('http://127.0.0.1:2379', 'http://127.0.0.1:2379,http://10.77.0.11:2379') },
      async (cluster) => {
        const { changes, problems } = await cluster.plan();
        assert.deepEqual([changes, problems.map(({ component }) => component)], [[], ['etcd', 'kube-apiserver']]);
        assert.match(problems[1]?.message ?? '', /http:\/\/10\.77\.0\.11:2379 without TLS/);
      },
    ));

  it('to drop roots that clients or peers are verified with', () =>
    controlPlane(
      {
        etcd: {
          defaults: `${threeDefaults.replaceAll('http:', 'https:')}ETCD_TRUSTED_CA_FILE=/pki/ca.crt\nETCD_PEER_TRUSTED_CA_FILE=/pki/peer-ca.crt\n`,
        },
      },
      async (cluster) => {
        await cluster.node.write('/pki/ca.crt', cluster.rootPem('kubernetes'));
        await cluster.node.write('/pki/peer-ca.crt', cluster.rootPem('etcd'));
        const { problems } = await cluster.plan();
        const told = problems
          .map(({ message }) => message)
          .filter((message) => message.startsWith('trust would change'));
        assert.equal(told.length, 1);
        assert.match(told[0] ?? '', /trusted-ca-file trusts CN=kubernetes/);
      },
    ));
});
