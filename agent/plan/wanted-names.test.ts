import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { ComponentChange } from './change.ts';
import { FakeCluster } from './fake-cluster.ts';
import { etcdUnit } from './fake-parts.ts';
import { changeOf, on } from './plan-for-tests.ts';

const tls = (flags: string) =>
  etcdUnit.replace(
    '$DAEMON_ARGS\n',
    `--cert-file=/e/m.crt --key-file=/e/k --peer-cert-file=/e/m.crt --peer-key-file=/e/k --trusted-ca-file=/e/ca.crt --peer-trusted-ca-file=/e/ca.crt ${flags}\n`,
  );
const urls =
  '--listen-client-urls=https://10.77.0.10:2379 --advertise-client-urls=https://etcd.lan:2379 --listen-peer-urls=https://10.77.0.10:2380 --initial-advertise-peer-urls=https://10.77.0.10:2380';
const served = ['cp1', 'cp2', 'cp3', 'etcd.lan', 'node4', '10.77.0.10', '10.77.0.12', '10.77.0.13'];

/** Plans the member of a cluster whose members share one certificate. */
async function shared(
  flags: string,
  test: (etcd: ComponentChange) => void,
  change: (cluster: FakeCluster) => void = () => {},
): Promise<void> {
  await on(FakeCluster.controlPlane({ etcd: { unit: tls(flags) } }), async (cluster) => {
    await cluster.node.write('/e/ca.crt', cluster.rootPem('etcd'));
    const isAddress = (name: string) => /^[\d.]+$/.test(name);
    const { pem } = await cluster.issue(
      'etcd',
      served.filter((name) => !isAddress(name)),
      served.filter(isAddress),
    );
    await cluster.node.write('/e/m.crt', pem);
    cluster.members = [
      { id: 'a1', name: 'cp1', peerUrls: ['https://10.77.0.10:2380'], clientUrls: ['https://etcd.lan:2379'] },
      { id: 'b2', name: 'cp2', peerUrls: ['https://10.77.0.12:2380'], clientUrls: ['https://etcd.lan:2379'] },
      { id: 'c3', name: 'x', peerUrls: ['https://CP3:2380'], clientUrls: ['https://10.77.0.13:2379'] },
    ];
    change(cluster);
    test(changeOf(await cluster.plan(), 'etcd'));
  });
}
const namesOf = ({ slots }: ComponentChange, file: string) => {
  const slot = slots.find((each) => each.file === file);
  return [...(slot?.dnsNames ?? []), ...(slot?.ipAddresses ?? [])];
};

describe('names of an etcd certificate that members share', () => {
  it('leaves out those of other members, and says so', () =>
    shared(urls, (etcd) => {
      const own = ['cp1', 'etcd.lan', 'localhost', 'node4', '10.77.0.10', '127.0.0.1'];
      assert.deepEqual([namesOf(etcd, 'server'), namesOf(etcd, 'peer')], [own, own]);
      assert.deepEqual(etcd.slots[0]?.leftOut, ['cp2', 'cp3', '10.77.0.12', '10.77.0.13']);
      assert.equal(etcd.slots[2]?.leftOut, undefined);
      assert.ok(
        etcd.summary.includes('certificates without the names of other members: cp2, cp3, 10.77.0.12, 10.77.0.13'),
        etcd.summary.join('\n'),
      );
    }));

  it('knows the others from initial-cluster while etcd does not answer', () =>
    shared(
      `${urls} --initial-cluster=cp1=https://10.77.0.10:2380,cp2=https://10.77.0.12:2380`,
      (etcd) => assert.deepEqual(etcd.slots[1]?.leftOut, ['cp2', '10.77.0.12']),
      (cluster) => {
        cluster.members = undefined;
      },
    ));

  it('keeps what is this member too', () =>
    shared(
      urls,
      (etcd) => assert.deepEqual(etcd.slots[0]?.leftOut, ['cp3', '10.77.0.13']),
      (cluster) => {
        cluster.settings = { ...cluster.settings, nodeName: 'cp2', addresses: ['10.77.0.12'] };
      },
    ));
});

describe('names of an etcd that listens on all addresses', () => {
  const rows: [listen: string, hasLoopback: boolean][] = [
    ['http://[::]:2379', true],
    ['http://[::1]:2379', true],
    ['http://0.0.0.0:2379', false],
    ['http://127.0.0.1:2379', false],
  ];
  for (const [listen, hasLoopback] of rows) {
    it(`${hasLoopback ? 'has' : 'has not'} ::1 with ${listen}`, () =>
      on(FakeCluster.controlPlane({ etcd: { defaults: `ETCD_LISTEN_CLIENT_URLS=${listen}\n` } }), async (cluster) => {
        const etcd = changeOf(await cluster.plan(), 'etcd');
        assert.equal(namesOf(etcd, 'server').includes('::1'), hasLoopback);
        assert.equal(namesOf(etcd, 'peer').includes('::1'), false);
        assert.ok(!namesOf(etcd, 'server').includes('::'));
      }));
  }
});
