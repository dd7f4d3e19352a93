import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { DetectedApiserver } from '../detect/detected.ts';
import { FakeCluster } from './fake-cluster.ts';
import { apiserverCommand, pki } from './fake-parts.ts';
import { on } from './plan-for-tests.ts';
import { tokenKey } from './token-key.ts';

const withoutKey = apiserverCommand.replace(/--service-account-key-file=\S+/, '');
const withoutPair = withoutKey.replace(/--tls-cert-file=\S+ --tls-private-key-file=\S+/, '');
const withoutSigner = (command: string) => command.replace(/--service-account-signing-key-file=\S+/, '');

const rows: [what: string, command: string, version: string, files: readonly string[], expected: string | undefined][] =
  [
    ['a flag names one', apiserverCommand, '', [], undefined],
    ['it is the key of the serving certificate', withoutSigner(withoutKey), '1.19.3', [], `${pki}/apiserver.key`],
    ['the version is not known', withoutKey, '', [], `${pki}/apiserver.key`],
    ['it signs tokens itself since 1.13, and has no default then', withoutKey, '1.20.2', [], undefined],
    ['it signs tokens itself before that', withoutKey, '1.12.9', [], `${pki}/apiserver.key`],
    ['it is found by --cert-dir', `${withoutPair} --cert-dir=/pki`, '', ['/pki/apiserver.crt'], '/pki/apiserver.key'],
    ['there is none in --cert-dir', `${withoutPair} --cert-dir=/pki`, '', [], undefined],
    ['it makes its pair in memory', `${withoutPair} --cert-dir=`, '', ['/var/run/kubernetes/apiserver.crt'], undefined],
  ];

/** What is said of the API server of a command line. */
function tokenKeyOf(command: string, version: string, files: readonly string[]) {
  return new Promise<ReturnType<typeof tokenKey>>((resolve, reject) => {
    on(FakeCluster.controlPlane({ apiserver: command }), async (cluster) => {
      for (const file of files) await cluster.node.write(file, (await cluster.issue('kubernetes', [], [])).pem);
      const input = await cluster.input();
      const apiserver = input.detected.components.find(
        (each): each is DetectedApiserver => each.component === 'kube-apiserver',
      );
      assert.ok(apiserver);
      resolve(tokenKey({ ...apiserver, version }, input));
    }).catch(reject);
  });
}

describe('tokenKey', () => {
  for (const [what, command, version, files, expected] of rows) {
    it(`is ${expected ?? 'not to be said'} where ${what}`, async () => {
      assert.deepEqual(await tokenKeyOf(command, version, files), { path: expected, problems: [] });
    });
  }

  it('holds an API server up whose key is gone when the host starts anew', async () => {
    const { path, problems } = await tokenKeyOf(withoutPair, '', ['/var/run/kubernetes/apiserver.crt']);
    assert.equal(path, undefined);
    assert.match(problems[0]?.message ?? '', /^tokens of .*\/var\/run\/kubernetes\/apiserver\.key.*copy it/);
  });
});
