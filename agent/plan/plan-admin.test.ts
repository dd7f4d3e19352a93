import assert from 'node:assert/strict';
import { chmod } from 'node:fs/promises';
import { describe, it } from 'node:test';
import { parse } from 'yaml';
import { detectAdmin } from '../detect/admin.ts';
import { lifetimeMs, nowMs } from './fake-authorities.ts';
import { FakeCluster } from './fake-cluster.ts';
import { applyAll, assertDone, changeOf, on, slotsOf } from './plan-for-tests.ts';
import { planNode } from './plan-node.ts';

const path = '/etc/kubernetes/admin.conf';
const folder = '/etc/kube-mtls/pki/admin/current';

/** A node with admin.conf. */
const admin = (test: (cluster: FakeCluster) => Promise<void>, mode?: number) =>
  on(FakeCluster.bareControlPlane(), async (cluster) => {
    await cluster.addAdmin('admin', mode);
    await test(cluster);
  });

async function embeddedIn(cluster: FakeCluster, at = path) {
  const { users, clusters } = parse(await cluster.read(at));
  const text = (data: string) => Buffer.from(data, 'base64').toString();
  return {
    certificate: text(users[0].user['client-certificate-data']),
    key: text(users[0].user['client-key-data']),
    roots: text(clusters[0].cluster['certificate-authority-data']),
  };
}

describe('planAdmin', () => {
  it('embeds what is in the folder of the version, once, and names no secret in the plan', () =>
    admin(async (cluster) => {
      const change = changeOf(await applyAll(cluster), 'admin');
      assert.deepEqual(slotsOf(change), ['admin']);
      assert.equal(change.takeUp, 'live', 'nothing runs');
      assert.match(change.files[0]?.after.text ?? '', /client-key-data: "?@kube-mtls:base64:admin\.key@/);
      assert.equal(change.files[0]?.after.mode, 0o600);
      assert.deepEqual(await embeddedIn(cluster), {
        certificate: await cluster.read(`${folder}/admin.crt`),
        key: await cluster.read(`${folder}/admin.key`),
        roots: cluster.rootPem('kubernetes'),
      });
    }));

  it('plans the same text and fingerprint each time', () =>
    admin(async (cluster) => {
      const [one, other] = [await cluster.plan(), await cluster.plan()];
      assert.equal(one.changes[0]?.fingerprint, other.changes[0]?.fingerprint);
    }));

  it('renews all kubeconfigs together when one certificate is due', () =>
    admin(async (cluster) => {
      await cluster.addAdmin('super-admin');
      assert.deepEqual(slotsOf(changeOf(await applyAll(cluster), 'admin')), ['admin', 'super-admin']);
      cluster.nowMs = nowMs + lifetimeMs * 0.56;
      await assertDone(cluster);
      cluster.nowMs = nowMs + lifetimeMs * 0.67;
      const change = changeOf(await applyAll(cluster), 'admin');
      assert.deepEqual(
        change.files.map((file) => file.path.replace(/.*\//, '')),
        ['admin.conf', 'super-admin.conf'],
      );
      const { certificate } = await embeddedIn(cluster, '/etc/kubernetes/super-admin.conf');
      assert.equal(certificate, await cluster.read(`${folder}/super-admin.crt`));
    }));

  const damages: [string, (cluster: FakeCluster) => Promise<void>][] = [
    ['somebody put another certificate in', (cluster) => cluster.addAdmin()],
    [
      'its key is another one',
      async (cluster) => {
        const { certificate } = await embeddedIn(cluster);
        const { keyPem } = await cluster.issue('kubernetes', [], []);
        await cluster.node.write(path, cluster.kubeconfig('kubernetes-admin', { pem: certificate, keyPem }));
      },
    ],
    [
      'its key is no key',
      async (cluster) => {
        const { certificate } = await embeddedIn(cluster);
        await cluster.node.write(path, cluster.kubeconfig('kubernetes-admin', { pem: certificate, keyPem: 'x' }));
      },
    ],
    ['it became readable for everybody', (cluster) => chmod(cluster.node.path(path), 0o644)],
    ['a second kubeconfig came', (cluster) => cluster.addAdmin('super-admin')],
    ['the certificate in the folder is gone', (cluster) => cluster.node.write(`${folder}/admin.crt`, '')],
  ];
  for (const [what, damage] of damages) {
    it(`embeds anew when ${what}`, () =>
      admin(async (cluster) => {
        await applyAll(cluster);
        await damage(cluster);
        const change = changeOf(await applyAll(cluster), 'admin');
        assert.ok(slotsOf(change).includes('admin'));
      }));
  }

  it('gives two files of one user one certificate, since the server issues a profile once', () =>
    admin(async (cluster) => {
      const second = '/etc/kubernetes/second.conf';
      await cluster.node.write(second, await cluster.read(path));
      const { detected, ...input } = await cluster.input();
      const adminKubeconfigs = [path, second].map((each) => ({ path: each, profile: 'admin-client' as const }));
      const both = await detectAdmin(cluster.node.layout, { adminKubeconfigs });
      assert.ok(both);
      const plan = planNode({ ...input, detected: { ...detected, components: [both] } });
      assert.deepEqual(slotsOf(changeOf(plan, 'admin')), ['admin']);
      await cluster.apply(plan);
      assert.equal((await embeddedIn(cluster, second)).certificate, (await embeddedIn(cluster)).certificate);
    }));

  it('takes a key out of sight of everybody, and says so', () =>
    admin(async (cluster) => {
      const change = changeOf(await applyAll(cluster), 'admin');
      assert.equal(change.files[0]?.after.mode, 0o600);
      assert.match(change.summary[0] ?? '', /admin\.conf, mode 644 -> 600 since everybody could read its key/);
    }, 0o644));

  it('leaves a mode that lets a group read', () =>
    admin(async (cluster) => {
      assert.equal(changeOf(await applyAll(cluster), 'admin').files[0]?.after.mode, 0o640);
    }, 0o640));

  it('leaves other contexts and users alone', () =>
    admin(async (cluster) => {
      const others = 'users:\n- name: other\n  user: {token: keep} # mine\n';
      await cluster.node.write(path, (await cluster.read(path)).replace('users:\n', others));
      await applyAll(cluster);
      assert.ok((await cluster.read(path)).includes(others));
    }));

  it('gives nobody else the certificate after the current-context was moved to another user', () =>
    admin(async (cluster) => {
      const text = (await cluster.read(path))
        .replace('contexts:\n', 'contexts:\n- {name: bob, context: {cluster: kubernetes, user: bob}}\n')
        .replace('users:\n', 'users:\n- {name: bob, user: {client-certificate-data: Ym9i, client-key-data: Ym9i}}\n');
      await cluster.node.write(path, text);
      await applyAll(cluster);
      const before = await cluster.read(path);
      await cluster.node.write(path, before.replace(/current-context: .*/, 'current-context: bob'));
      const { changes, problems } = await cluster.plan();
      assert.deepEqual(changes, []);
      assert.match(problems[0]?.message ?? '', /another user than the one of its current-context: set that back/);
      assert.match(problems[0]?.path ?? '', /admin\.conf$/);
      await cluster.node.write(path, before);
      await assertDone(cluster);
    }));

  const refusals: [string, (text: string, cluster: FakeCluster) => string, RegExp][] = [
    ['a token', (text) => text.replace(/ {4}client-certificate-data.*\n.*\n/, '    token: x\n'), /by token/],
    [
      'roots of somebody else',
      (text, cluster) =>
        text.replace(/(authority-data: ).*/, `$1${Buffer.from(cluster.rootPem('etcd')).toString('base64')}`),
      /trust would change: certificate-authority/,
    ],
  ];
  for (const [what, edit, message] of refusals) {
    it(`refuses ${what}`, () =>
      admin(async (cluster) => {
        await cluster.node.write(path, edit(await cluster.read(path), cluster));
        const { changes, problems } = await cluster.plan();
        assert.deepEqual(changes, []);
        assert.match(problems[0]?.message ?? '', message);
      }));
  }
});
