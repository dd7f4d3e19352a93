import assert from 'node:assert/strict';
import type { RequestListener } from 'node:http';
import { before, describe, it, type TestContext } from 'node:test';
import { createSecureContext, type TLSSocket } from 'node:tls';
import { systemClock } from '../../common/time/clock.ts';
import type { Detected } from '../detect/detected.ts';
import { detectedKubelet } from './detected-for-tests.ts';
import { type PeerQuestion, type PeerWord, probeAsPeer } from './peer-probe.ts';
import { kubeconfigText, serveTls, type TestAuthority, type TestLeaf, testAuthority } from './pki-for-tests.ts';
import { probe } from './probe.ts';

const signal = new AbortController().signal;

/** A kubelet is asked about an API server behind an address that leads to others too. */
describe('probeAsPeer by an address that several API servers share', () => {
  let authority: TestAuthority;
  let strangers: TestAuthority;
  let serving: TestLeaf;
  let client: TestLeaf;
  let stranger: TestLeaf;

  before(async () => {
    authority = await testAuthority('kubernetes');
    strangers = await testAuthority('kubernetes');
    serving = await authority.issue();
    client = await authority.issue({ commonName: 'system:node:w1', usages: ['client'] });
    stranger = await strangers.issue({ commonName: 'system:node:w1', usages: ['client'] });
  });

  function ask(question: Omit<PeerQuestion, 'component'>, kubelet: Detected): Promise<PeerWord> {
    return probeAsPeer({ clock: systemClock, probe }, { component: 'kube-apiserver', ...question }, [kubelet], signal);
  }

  /** Serves both certificates in turn at one port, as a load balancer leads to both, and the one in question at another. */
  async function cluster(test: TestContext, others: readonly TestLeaf[], own = serving) {
    const options = { requestCert: true, rejectUnauthorized: false, ca: authority.rootsPem };
    const contexts = [...others, own].map(({ certPem, keyPem }) =>
      createSecureContext({ ca: authority.rootsPem, cert: certPem, key: keyPem }),
    );
    let turn = 0;
    const answer: RequestListener = (request, response) => {
      const { authorized } = request.socket as TLSSocket; // the server is an https server
      response.writeHead(authorized ? 200 : 401).end(authorized ? 'ok' : 'Unauthorized');
    };
    const balanced = await serveTls(test, own, answer, {
      ...options,
      SNICallback: (_, done) => done(null, contexts[turn++ % contexts.length]),
    });
    const alone = await serveTls(test, own, answer, options);
    const question = (serial = own.serial) => ({
      ...{
        endpoints: [`127.0.0.1:${alone}`, `127.0.0.1:${balanced}`],
        sharedEndpoints: [`127.0.0.1:${balanced}`],
        serial,
      },
    });
    // Node's server chooses by name, so the kubeconfig has one
    const by = (leaf: TestLeaf, trusts = authority) =>
      detectedKubelet({
        kubeconfig: kubeconfigText(balanced, trusts.rootsPem, leaf).replace(
          "server: '",
          "tls-server-name: localhost, server: '",
        ),
      });
    return { question, by, alone, balanced };
  }

  it('compares no serial there, and calls the one in question at its own address by the shared name', async (test) => {
    const other = await authority.issue();
    const { question, by, alone } = await cluster(test, [other, other, other]);
    const word = await ask(question(), by(client));
    assert.deepEqual(word.complaints, []);
    assert.match(
      text(word),
      new RegExp(`^confirmations kubelet to https://127.0.0.1:${alone} as localhost: answered 200`),
    );
    assert.match(text(word), /confirmations kubelet to https:.*\nconfirmations kubelet to https:/);
  });

  it('is not misled by other API servers there that are broken', async (test) => {
    const { question, by } = await cluster(test, Array(9).fill(await strangers.issue()));
    const word = await ask(question(), by(client));
    assert.deepEqual(word.complaints, []);
    assert.match(text(word), /notes .*unknown-authority.*which another server may have said$/);
  });

  it('complains of one that its kubelets do not trust, wherever they meet it', async (test) => {
    const { question, by } = await cluster(test, [await authority.issue()], await strangers.issue());
    const word = await ask(question(), by(client));
    assert.equal(word.complaints.length, 2, text(word));
  });

  it('complains of a wrong name there, and of one that does not believe it', async (test) => {
    const { question, by } = await cluster(test, [], await authority.issue({ dnsNames: ['else'] }));
    assert.match(text(await ask(question(), by(client))), /^complaints .*wrong-name/);
    const refusing = await cluster(test, []);
    assert.match(text(await ask(refusing.question(), refusing.by(stranger))), /^complaints .*answered 401/);
  });

  it('has no complaint of an API server whose serial nobody knows by what is met there', async (test) => {
    const { question, by } = await cluster(test, Array(9).fill(await strangers.issue()));
    const { complaints } = await ask({ ...question(''), endpoints: [] }, by(client));
    assert.deepEqual(complaints, []);
  });

  it('compares no serial at a name either, which may stand for several addresses', async (test) => {
    const port = await serveTls(test, serving, (_, response) => void response.end('ok'));
    const kubeconfig = kubeconfigText(port, authority.rootsPem, client).replace('127.0.0.1', 'localhost');
    const word = await ask({ endpoints: [`localhost:${port}`], serial: 'abc' }, detectedKubelet({ kubeconfig }));
    assert.match(text(word), /^confirmations /);
  });
});

function text(word: PeerWord): string {
  const lines = (kind: 'confirmations' | 'complaints' | 'notes') =>
    word[kind].map(({ source, line }) => `${kind} ${source}: ${line}`);
  return [...lines('confirmations'), ...lines('complaints'), ...lines('notes')].join('\n');
}
