import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { makeAuthority } from './fake-authorities.ts';
import { FakeCluster } from './fake-cluster.ts';
import { pki } from './fake-parts.ts';
import { on } from './plan-for-tests.ts';

/** What is said of trust on a node whose API server's client CAs are these. */
function trustOf(add: (cluster: FakeCluster) => Promise<string>, test: (messages: string[]) => void): Promise<void> {
  return on(FakeCluster.controlPlane(), async (cluster) => {
    await cluster.node.write(`${pki}/ca.crt`, await add(cluster));
    const { problems } = await cluster.plan();
    test(problems.map(({ message }) => message).filter((message) => message.startsWith('trust would change')));
  });
}

describe('guardTrust', () => {
  it('says of a leaf among the roots what helps, and nothing of --adopt', () =>
    trustOf(
      async (cluster) => cluster.rootPem('kubernetes') + (await cluster.issue('front-proxy', ['robot'], [])).pem,
      (messages) => {
        assert.equal(messages.length, 1);
        assert.match(
          messages[0] ?? '',
          /client-ca-file trusts CN=test \(sha256:\w+\), which is no CA but the certificate/,
        );
        assert.match(
          messages[0] ?? '',
          /have the holder use a certificate of a CA in the file, then take this one out/,
        );
        assert.doesNotMatch(messages[0] ?? '', /adopt/);
      },
    ));

  it('says so of a leaf that stands alone', () =>
    trustOf(
      async (cluster) => (await cluster.issue('front-proxy', ['robot'], [])).pem,
      (messages) =>
        assert.match(messages.join(), /put a root of the kubernetes CA there instead where it stands alone$/),
    ));

  it('lets a leaf go that a root of the server signed, since its holder is believed by that', () =>
    trustOf(
      async (cluster) => cluster.rootPem('kubernetes') + (await cluster.issue('kubernetes', ['robot'], [])).pem,
      (messages) => assert.deepEqual(messages, []),
    ));

  it('tells a foreign CA and a leaf apart', () =>
    trustOf(
      async (cluster) =>
        (await makeAuthority('other')).certificate.pem + (await cluster.issue('front-proxy', ['robot'], [])).pem,
      (messages) => {
        assert.equal(messages.length, 2);
        assert.match(messages[0] ?? '', /CN=other .*; start the CA server with --adopt/);
        assert.match(messages[1] ?? '', /no CA but the certificate of one holder/);
      },
    ));
});
