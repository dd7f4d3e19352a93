import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import type { DetectOverrides } from '../detect/overrides.ts';
import { loadAgentConfig, parseAgentConfig } from './agent-config.ts';

const defaults = { logLevel: 'info', keyAlgorithm: 'auto', reconcileInterval: 300_000 };

describe('agent configuration', () => {
  it('has a default for everything, and leaves the mode to what join recorded', () => {
    const { mode, ...config } = parseAgentConfig('', 'agent.yaml');
    assert.equal(mode, undefined);
    for (const [name, value] of Object.entries(defaults)) assert.equal(Reflect.get(config, name), value, name);
  });

  it('reads what an operator says', () => {
    const text = 'mode: observe\nlogLevel: debug\nkeyAlgorithm: rsa-3072\nreconcileInterval: 1m\n';
    const { mode, logLevel, keyAlgorithm, reconcileInterval } = parseAgentConfig(text, 'agent.yaml');
    assert.deepEqual([mode, logLevel, keyAlgorithm, reconcileInterval], ['observe', 'debug', 'rsa-3072', 60_000]);
  });

  it('reads how components are found, as detection takes it', () => {
    const text = `components:
  etcd: { manifest: /srv/pods/etcd.yaml }
  kube-apiserver: { unit: my-apiserver@1.service }
  kube-proxy: { manage: false }
  admin: { manage: false }
manifestsFolder: /srv/pods
adminKubeconfigs: [{ path: /root/.kube/config, profile: super-admin-client }]
`;
    const overrides: DetectOverrides = parseAgentConfig(text, 'agent.yaml');
    assert.deepEqual(overrides.components, {
      etcd: { manifest: '/srv/pods/etcd.yaml', manage: true },
      'kube-apiserver': { unit: 'my-apiserver@1.service', manage: true },
      'kube-proxy': { manage: false },
      admin: { manage: false },
    });
    assert.equal(overrides.manifestsFolder, '/srv/pods');
    assert.deepEqual(overrides.adminKubeconfigs, [{ path: '/root/.kube/config', profile: 'super-admin-client' }]);
  });

  it('looks for everything where kubeadm puts it by default', () => {
    const { components, manifestsFolder, adminKubeconfigs } = parseAgentConfig('', 'agent.yaml');
    assert.deepEqual([components, manifestsFolder], [{}, '']);
    assert.deepEqual(
      adminKubeconfigs.map(({ path }) => path),
      ['/etc/kubernetes/admin.conf', '/etc/kubernetes/super-admin.conf'],
    );
  });

  const refused: [text: string, words: RegExp][] = [
    ['mode: watch\n', /^agent\.yaml:1: mode: /],
    ['\nkeyAlgorithm: rsa-1024\n', /^agent\.yaml:2: keyAlgorithm: /],
    ['reconcileInterval: 5\n', /reconcileInterval/],
    ['reconcileInterval: 1s\n', /10s to 24h/],
    ['observe: true\n', /unknown field observe/],
    ['components: {apiserver: {}}\n', /unknown field components\.apiserver/],
    ['components:\n  etcd: {service: etcd.service}\n', /^agent\.yaml:2: unknown field components\.etcd\.service/],
    ['components: {etcd: {unit: etcd}}\n', /components\.etcd\.unit: is no name of a service/],
    ['components: {etcd: {manifest: etcd.yaml}}\n', /components\.etcd\.manifest: is no absolute path/],
    ['components: {etcd: {unit: e.service, manifest: /e.yaml}}\n', /components\.etcd: names a unit and a manifest/],
    ['components: {kubelet: {manifest: /k.yaml}}\n', /unknown field components\.kubelet\.manifest/],
    ['components: {admin: {unit: a.service}}\n', /unknown field components\.admin\.unit/],
    ['components: {etcd: {manage: maybe}}\n', /components\.etcd\.manage/],
    ['manifestsFolder: pods\n', /manifestsFolder/],
    ['adminKubeconfigs: [{path: /a, profile: kubelet-client}]\n', /adminKubeconfigs\.0\.profile/],
    ['adminKubeconfigs: [{path: a, profile: admin-client}]\n', /adminKubeconfigs\.0\.path: is no absolute path/],
  ];
  for (const [text, message] of refused) {
    it(`refuses ${JSON.stringify(text)}`, () => {
      assert.throws(() => parseAgentConfig(text, 'agent.yaml'), { reason: 'invalid-request', message });
    });
  }

  it('may be absent, but not unreadable', async (test) => {
    const folder = mkdtempSync(join(tmpdir(), 'kube-mtls-config-'));
    test.after(() => rmSync(folder, { recursive: true }));
    const path = join(folder, 'agent.yaml');
    assert.deepEqual(await loadAgentConfig(path), parseAgentConfig('', path));
    writeFileSync(path, 'logLevel: warn\n');
    assert.equal((await loadAgentConfig(path)).logLevel, 'warn');
    await assert.rejects(loadAgentConfig(folder), { reason: 'internal' });
  });
});
