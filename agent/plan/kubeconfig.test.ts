import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { parse } from 'yaml';
import { editEmbeddedKubeconfig, editKubeconfig, embeddedParts, rootsOfKubeconfig } from './kubeconfig.ts';

const client = { certificate: '/n/client.crt', key: '/n/client.key' };
const files = { certificateAuthority: '/n/ca.crt', client };

const mixed = `# the node's own
apiVersion: v1
kind: Config
current-context: here
contexts:
- name: there
  context: {cluster: other, user: admin}
- name: here
  context:
    cluster: main # this one
    user: node
clusters:
- name: other
  cluster: {server: https://other:6443, certificate-authority-data: b3RoZXI=}
- name: main
  cluster:
    server: https://main:6443
    certificate-authority: pki/ca.crt
    certificate-authority-data: cm9vdHM=
users:
- name: admin
  user: {token: keep-me}
- user:
    # rotated by the kubelet
    client-certificate: /var/lib/kubelet/pki/kubelet-client-current.pem
    client-key: /var/lib/kubelet/pki/kubelet-client-current.pem
  name: node
`;

const wanted = mixed
  .replace(
    '    certificate-authority: pki/ca.crt\n    certificate-authority-data: cm9vdHM=\n',
    '    certificate-authority: /n/ca.crt\n',
  )
  .replace('client-certificate: /var/lib/kubelet/pki/kubelet-client-current.pem', 'client-certificate: /n/client.crt')
  .replace('client-key: /var/lib/kubelet/pki/kubelet-client-current.pem', 'client-key: /n/client.key');

/** A kubeconfig with these entries for its only cluster and user. */
function simple(cluster: object, user: object | null): string {
  return JSON.stringify({
    'current-context': 'c',
    contexts: [{ name: 'c', context: { cluster: 'k', user: 'u' } }],
    clusters: [{ name: 'k', cluster: { server: 'https://k', ...cluster } }],
    users: [{ name: 'u', user }],
  });
}

const skips = `apiVersion: v1
current-context: c
contexts: [{name: c, context: {cluster: k, user: u}}]
clusters: [{name: k, cluster: {server: https://k, insecure-skip-tls-verify: yes}}]
users: [{name: u, user: {}}]
`;
const refusals: [string, string, RegExp][] = [
  ['a user with a token', simple({}, { token: 'x' }), /authenticates by token/],
  ['a user with a plugin', simple({}, { exec: { command: 'x' } }), /authenticates by exec/],
  ['a user with a password', simple({}, { username: 'a', password: 'b' }), /authenticates by username/],
  ['a cluster that is not verified', simple({ 'insecure-skip-tls-verify': true }, {}), /skips the verification/],
  ['a cluster that is not verified, in words of YAML 1.1', skips, /skips the verification/],
  ['a cluster that is verified by the roots of the host', simple({}, {}), /the host's own roots/],
  ['a cluster without TLS', simple({ server: 'http://k' }, {}), /not https/],
  [
    'a context that is not there',
    mixed.replace('current-context: here', 'current-context: gone'),
    /current-context gone/,
  ],
  ['a user that is not there', mixed.replace('name: node', 'name: nobody'), /the user node/],
  ['a cluster that is not there', mixed.replace('name: main', 'name: nobody'), /the cluster main/],
  ['a list of users that is none', mixed.replace(/users:[\s\S]*/, 'users: 1\n'), /users is not as in a kubeconfig/],
];

describe('editKubeconfig', () => {
  it('names files for the current context and leaves every other byte', () => {
    assert.equal(editKubeconfig(mixed, files), wanted);
    assert.equal(editKubeconfig(wanted, files), wanted);
  });

  it('takes out embedded data, also from JSON', () => {
    const text = simple(
      { 'certificate-authority-data': 'eA==' },
      { 'client-certificate-data': 'eA==', 'client-key-data': 'eA==' },
    );
    const after = parse(editKubeconfig(text, files));
    assert.deepEqual(after.clusters[0].cluster, { server: 'https://k', 'certificate-authority': '/n/ca.crt' });
    assert.deepEqual(after.users[0].user, { 'client-certificate': '/n/client.crt', 'client-key': '/n/client.key' });
  });

  it('gives a user without credentials its files', () => {
    const after = parse(editKubeconfig(simple({ 'certificate-authority': '/old.crt' }, {}), files));
    assert.deepEqual(after.users[0].user, { 'client-certificate': '/n/client.crt', 'client-key': '/n/client.key' });
  });

  for (const [what, text, message] of refusals) {
    it(`refuses ${what}`, () => {
      assert.throws(() => editKubeconfig(text, files), { reason: 'invalid-request', message });
    });
  }
});

describe('editKubeconfig without a client', () => {
  it('changes the roots alone', () => {
    const text = simple({ 'certificate-authority-data': 'eA==' }, { 'client-certificate-data': 'eA==' });
    const after = parse(editKubeconfig(text, { ...files, client: undefined }));
    assert.deepEqual(after.clusters[0].cluster, { server: 'https://k', 'certificate-authority': '/n/ca.crt' });
    assert.deepEqual(after.users[0].user, { 'client-certificate-data': 'eA==' });
  });

  it('refuses what it would refuse with one, before anything else moves', () => {
    const edit = () => editKubeconfig(simple({}, { token: 'x' }), { ...files, client: undefined });
    assert.throws(edit, { message: /authenticates by token/ });
  });
});

describe('editEmbeddedKubeconfig', () => {
  const data = { certificateAuthority: 'Y2E=', client: { certificate: 'Y3J0', key: 'a2V5' } };
  const embedded = mixed
    .replace(
      '    certificate-authority: pki/ca.crt\n    certificate-authority-data: cm9vdHM=\n',
      '    certificate-authority-data: "Y2E="\n',
    )
    .replace('client-certificate: /var/lib/kubelet/pki/kubelet-client-current.pem', 'client-certificate-data: Y3J0')
    .replace('client-key: /var/lib/kubelet/pki/kubelet-client-current.pem', 'client-key-data: a2V5');

  it('embeds for the current context and leaves every other byte', () => {
    assert.equal(editEmbeddedKubeconfig(mixed, data), embedded);
    assert.equal(editEmbeddedKubeconfig(embedded, data), embedded);
  });

  it('replaces what is embedded, and the roots alone without a client', () => {
    const text = simple({ 'certificate-authority-data': 'eA==' }, { 'client-certificate-data': 'eA==' });
    const both = parse(editEmbeddedKubeconfig(text, data));
    assert.deepEqual(both.users[0].user, { 'client-certificate-data': 'Y3J0', 'client-key-data': 'a2V5' });
    const roots = parse(editEmbeddedKubeconfig(text, { ...data, client: undefined }));
    assert.equal(roots.clusters[0].cluster['certificate-authority-data'], 'Y2E=');
    assert.deepEqual(roots.users[0].user, { 'client-certificate-data': 'eA==' });
  });

  for (const [what, text, message] of refusals) {
    it(`refuses ${what}`, () => {
      assert.throws(() => editEmbeddedKubeconfig(text, data), { reason: 'invalid-request', message });
    });
  }
});

describe('embeddedParts', () => {
  it('decodes what is in the kubeconfig, and nothing that stands in files', () => {
    assert.deepEqual(embeddedParts(mixed), { certificateAuthority: 'roots', certificate: undefined, key: undefined });
    const text = simple({}, { 'client-certificate-data': 'Y3J0', 'client-key-data': 'a2V5' });
    assert.deepEqual(embeddedParts(text), { certificateAuthority: undefined, certificate: 'crt', key: 'key' });
  });
});

describe('rootsOfKubeconfig', () => {
  it('prefers embedded roots, as client-go does', () => {
    assert.deepEqual(rootsOfKubeconfig(mixed, '/etc/kubernetes/kubelet.conf'), { pem: 'roots' });
  });

  it('takes a relative path from the folder of the kubeconfig', () => {
    const text = simple({ 'certificate-authority': 'pki/ca.crt' }, {});
    assert.deepEqual(rootsOfKubeconfig(text, '/etc/kubernetes/kubelet.conf'), { path: '/etc/kubernetes/pki/ca.crt' });
  });

  it('finds none where the host verifies', () => {
    assert.equal(rootsOfKubeconfig(simple({}, {}), '/k'), undefined);
  });
});
