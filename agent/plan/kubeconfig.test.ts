import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { parse } from 'yaml';
import { editKubeconfig, rootsOfKubeconfig } from './kubeconfig.ts';

const files = { clientCertificate: '/n/client.crt', clientKey: '/n/client.key', certificateAuthority: '/n/ca.crt' };

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
    const after = parse(editKubeconfig(simple({}, {}), files));
    assert.deepEqual(after.users[0].user, { 'client-certificate': '/n/client.crt', 'client-key': '/n/client.key' });
  });

  const refusals: [string, string, RegExp][] = [
    ['a user with a token', simple({}, { token: 'x' }), /authenticates by token/],
    ['a user with a plugin', simple({}, { exec: { command: 'x' } }), /authenticates by exec/],
    ['a user with a password', simple({}, { username: 'a', password: 'b' }), /authenticates by username/],
    ['a cluster that is not verified', simple({ 'insecure-skip-tls-verify': true }, {}), /skips the verification/],
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
  for (const [what, text, message] of refusals) {
    it(`refuses ${what}`, () => {
      assert.throws(() => editKubeconfig(text, files), { reason: 'invalid-request', message });
    });
  }
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
