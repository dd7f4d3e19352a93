import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { parseKubeconfig, readConnection } from './kubeconfig.ts';
import { folderOf, testAuthority } from './pki-for-tests.ts';

const path = '/etc/kubernetes/kubelet.conf';

function kubeconfig(cluster: string, user: string): string {
  return `apiVersion: v1
kind: Config
current-context: here
contexts: [{name: elsewhere, context: {cluster: c2, user: u}}, {name: here, context: {cluster: c, user: u}}]
clusters: [{name: c2, cluster: {server: https://other}}, {name: c, cluster: {${cluster}}}]
users: [{name: u, user: {${user}}}]
`;
}
const base64 = (text: string) => Buffer.from(text).toString('base64');

describe('parseKubeconfig', () => {
  it('follows the current context', () => {
    const text = kubeconfig('server: https://10.0.0.1:6443, tls-server-name: api', '');
    const { server } = parseKubeconfig({ path, text });
    assert.deepEqual(server, { scheme: 'https', host: '10.0.0.1', port: 6443, name: 'api' });
  });

  it('takes data before files, and files relative to its folder', () => {
    const text = kubeconfig(
      'server: https://a, certificate-authority: pki/ca.crt',
      `client-certificate: /x.pem, client-certificate-data: ${base64('CERT')}, client-key: key.pem`,
    );
    const { roots, certificate, key } = parseKubeconfig({ path, text });
    assert.deepEqual(roots, { path: '/etc/kubernetes/pki/ca.crt' });
    assert.deepEqual(certificate, { pem: 'CERT' });
    assert.deepEqual(key, { path: '/etc/kubernetes/key.pem' });
  });

  const refused: [string, string, RegExp][] = [
    ['text that is not YAML', 'a: [', /kubelet\.conf cannot be used as kubeconfig/],
    ['YAML that is no kubeconfig', 'kind: Pod', /cannot be used as kubeconfig/],
    [
      'a context that leads nowhere',
      'current-context: x\ncontexts: []\nclusters: []\nusers: []\n',
      /current-context leads nowhere/,
    ],
    ['a server that is no URL', kubeconfig('server: 10.0.0.1', ''), /is no http or https URL/],
  ];
  for (const [what, text, message] of refused) {
    it(`refuses ${what}`, () => {
      assert.throws(() => parseKubeconfig({ path, text }), { reason: 'invalid-request', message });
    });
  }
});

describe('readConnection', () => {
  it('reads a certificate and a key from one file, as kubelet keeps them', async (test) => {
    const authority = await testAuthority('kubernetes');
    const folder = await folderOf(test, {});
    const leaf = await authority.issue();
    const both = join(folder, 'kubelet-client-current.pem');
    await writeFile(both, `${leaf.certPem}${leaf.keyPem}`);
    const text = kubeconfig(
      `server: https://a, certificate-authority-data: ${base64(authority.rootsPem)}`,
      `client-certificate: ${both}, client-key: ${both}`,
    );
    const { rootsPem, client } = await readConnection(parseKubeconfig({ path, text }));
    assert.equal(rootsPem, authority.rootsPem);
    assert.ok(client?.certPem.includes(leaf.certPem) && client.keyPem.includes(leaf.keyPem));
  });

  it('says that there is none where none is named, and which file cannot be read', async () => {
    const none = await readConnection(parseKubeconfig({ path, text: kubeconfig('server: https://a', 'token: x') }));
    assert.deepEqual(none, { rootsPem: undefined, client: undefined });
    const missing = kubeconfig('server: https://a, certificate-authority: /nowhere/ca.crt', '');
    await assert.rejects(readConnection(parseKubeconfig({ path, text: missing })), {
      reason: 'not-found',
      message: /\/nowhere\/ca\.crt/,
    });
  });
});
