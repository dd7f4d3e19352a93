import assert from 'node:assert/strict';
import { chmod, rm, symlink, writeFile } from 'node:fs/promises';
import { describe, it } from 'node:test';
import { componentFolder, currentFile } from '../layout.ts';
import { FakeCluster } from './fake-cluster.ts';
import { readInstalled } from './read-installed.ts';

/** A worker with an applied plan. */
async function installed(test: (cluster: FakeCluster, path: (file: string) => string) => Promise<void>): Promise<void> {
  const cluster = await FakeCluster.worker();
  try {
    await cluster.apply(await cluster.plan());
    await test(cluster, (file) => currentFile(cluster.node.layout, 'kubelet', file));
  } finally {
    await cluster.remove();
  }
}

const kubelet = async (cluster: FakeCluster) => (await readInstalled(cluster.node.layout, ['kubelet']))[0];

describe('readInstalled', () => {
  it('finds certificates with their keys apart from bundles', () =>
    installed(async (cluster) => {
      const folder = await kubelet(cluster);
      assert.match(folder?.target ?? '', /^v2026/);
      assert.deepEqual(
        folder?.certificates.map(({ file, keyMatches }) => [file, keyMatches]),
        [
          ['client', true],
          ['probe-client', true],
          ['serving', true],
        ],
      );
      assert.deepEqual(
        folder?.bundles.map(({ file }) => file),
        ['apiserver-ca.crt', 'client-ca.crt'],
      );
    }));

  it('finds nothing where there is no folder or the link leads nowhere', () =>
    installed(async (cluster, path) => {
      const [etcd] = await readInstalled(cluster.node.layout, ['etcd']);
      assert.deepEqual(etcd, { component: 'etcd', target: undefined, certificates: [], bundles: [] });
      await rm(path(''), { force: true });
      await symlink('vgone', `${componentFolder(cluster.node.layout, 'kubelet')}/current`);
      assert.deepEqual(await kubelet(cluster), {
        component: 'kubelet',
        target: 'vgone',
        certificates: [],
        bundles: [],
      });
    }));

  const damages: [string, (path: (file: string) => string, cluster: FakeCluster) => Promise<void>][] = [
    ['a key is gone', (path) => rm(path('serving.key'))],
    ['a key is garbage', (path) => writeFile(path('serving.key'), 'x')],
    [
      'a key is of another certificate',
      async (path, cluster) => {
        await writeFile(path('serving.key'), (await cluster.issue('kubernetes', ['w1'], [])).keyPem);
      },
    ],
    ['a certificate is garbage', (path) => writeFile(path('serving.crt'), 'x')],
    ['a certificate is gone', (path) => rm(path('serving.crt'))],
    ['a bundle is gone', (path) => rm(path('client-ca.crt'))],
    ['a bundle is garbage', (path) => writeFile(path('apiserver-ca.crt'), 'x')],
  ];
  for (const [what, damage] of damages) {
    it(`makes the plan issue anew when ${what}`, () =>
      installed(async (cluster, path) => {
        await chmod(path(''), 0o755);
        await damage(path, cluster);
        const { changes, problems } = await cluster.plan();
        assert.deepEqual([changes.length, problems], [1, []]);
      }));
  }
});
