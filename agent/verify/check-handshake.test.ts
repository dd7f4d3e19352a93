import assert from 'node:assert/strict';
import type { IncomingMessage } from 'node:http';
import { before, describe, it, type TestContext } from 'node:test';
import type { TLSSocket } from 'node:tls';
import { systemClock } from '../../common/time/clock.ts';
import type { Detected } from '../detect/detected.ts';
import { checkHandshake } from './check-handshake.ts';
import { detectedApiserver, detectedEtcd, detectedKubelet, detectedManager } from './detected-for-tests.ts';
import type { Expectation } from './expectation.ts';
import { noPatience } from './no-patience-for-tests.ts';
import { folderOf, serveTls, type TestAuthority, type TestLeaf, testAuthority } from './pki-for-tests.ts';
import { probe } from './probe.ts';

/** What a server says to a caller: undefined for one without a certificate, '' for one that is not believed. */
type Say = (user: string | undefined, path: string) => { status: number; body?: string };

const USER = 'kube-mtls:probe:w1';

/** As real ones answer (v1.20.2): the API server at /apis, the kubelet everywhere. */
const apiserver: Say = (user) => (user === undefined ? { status: 403 } : { status: user === '' ? 401 : 200 });
const kubelet: Say = (user) => {
  if (user === undefined || user === '') return { status: 401, body: 'Unauthorized' };
  return { status: 403, body: `Forbidden (user=${user}, verb=get, resource=nodes, subresource=proxy)` };
};

const manager: Say = (user, path) => {
  if (path === '/healthz') return { status: user === '' ? 401 : 200, body: 'ok' };
  if (user === '') return { status: 401, body: 'Unauthorized' };
  return { status: 403, body: `forbidden: User "${user ?? 'system:anonymous'}" cannot get path "${path}"` };
};

describe('checkHandshake', () => {
  let authority: TestAuthority;
  let serving: TestLeaf;
  let client: TestLeaf;

  before(async () => {
    authority = await testAuthority('kubernetes');
    serving = await authority.issue({ dnsNames: ['w1', 'kubernetes'] });
    client = await authority.issue({ commonName: USER, usages: ['client'] });
  });

  /** Takes any client certificate in the handshake, as Go does with tls.RequestClientCert, and answers by who it is. */
  async function serve(test: TestContext, say: Say, leaf = serving): Promise<string> {
    const options = { requestCert: true, rejectUnauthorized: false, ca: authority.rootsPem };
    const port = await serveTls(
      test,
      leaf,
      (request, response) => {
        const { status, body } = say(userOf(request), request.url ?? '');
        response.writeHead(status).end(body);
      },
      options,
    );
    return String(port);
  }

  async function check(test: TestContext, detected: Detected, serial = serving.serial, live = false) {
    const expectation: Expectation = {
      detected,
      folder: await folderOf(test, { 'probe-client': client }),
      serials: new Map([['serving', serial]]),
      target: 'enforced',
      live,
      rootsPem: new Map([['kubernetes', authority.rootsPem]]),
    };
    const signal = new AbortController().signal;
    return checkHandshake({ clock: systemClock, probe }, expectation, noPatience, signal);
  }

  const both: { what: string; say: Say; detected(port: string): Detected }[] = [
    { what: 'API server', say: apiserver, detected: (port) => detectedApiserver({ 'secure-port': port }) },
    {
      what: 'controller manager',
      say: manager,
      detected: (port) => detectedManager('kube-controller-manager', { 'secure-port': port }),
    },
    {
      what: 'scheduler',
      say: manager,
      detected: (port) => detectedManager('kube-scheduler', { 'secure-port': port, 'bind-address': '127.0.0.1' }),
    },
    { what: 'kubelet', say: kubelet, detected: (port) => detectedKubelet({ flags: { port } }) },
  ];
  for (const { what, say, detected } of both) {
    describe(`of the ${what}`, () => {
      it('passes with the new certificate and evidence of every probe', async (test) => {
        const outcome = await check(test, detected(await serve(test, say)));
        assert.equal(outcome.result, 'passed', outcome.summary);
        const lines = outcome.evidence.map(({ source, line }) => `${source}: ${line}`).join('\n');
        assert.match(lines, new RegExp(`probe-client: answered \\d+ over TLSv1.3 with serial ${serving.serial}`));
        assert.match(lines, /without certificate: answered 40[13]/);
      });

      it('fails with the old certificate', async (test) => {
        const outcome = await check(test, detected(await serve(test, say)), 'abc');
        assert.equal(outcome.result, 'failed');
        assert.match(outcome.summary, /instead of the new certificate with serial abc/);
      });

      it('fails with a certificate of another CA, and tells its serial', async (test) => {
        const foreign = await (await testAuthority('kubernetes')).issue({ dnsNames: ['w1', 'kubernetes'] });
        const outcome = await check(test, detected(await serve(test, say, foreign)));
        assert.equal(outcome.result, 'failed');
        assert.match(outcome.summary, new RegExp(`not trusted: unknown-authority.*serial ${foreign.serial}`));
      });

      it('fails with a certificate that does not name the node', async (test) => {
        const nameless = await authority.issue({ dnsNames: ['other'], ipAddresses: ['10.9.9.9'] });
        const outcome = await check(test, detected(await serve(test, say, nameless)));
        assert.equal(outcome.result, 'failed');
        assert.match(outcome.summary, /wrong-name/);
      });

      it('fails when our own client certificate is not believed', async (test) => {
        const outcome = await check(test, detected(await serve(test, () => ({ status: 401, body: 'Unauthorized' }))));
        assert.equal(outcome.result, 'failed');
        assert.match(outcome.summary, /probe-client: answered 401 .*"Unauthorized", instead of/);
      });

      it('fails when callers without a certificate are let in', async (test) => {
        const outcome = await check(test, detected(await serve(test, (user, path) => say(user ?? USER, path))));
        assert.equal(outcome.result, 'failed');
        assert.match(outcome.summary, /without certificate: answered/);
      });
    });
  }

  it('fails for an API server that believes a certificate of another CA with the same name', async (test) => {
    const gullible: Say = (user) => apiserver(user === '' ? 'stranger' : user, '/apis');
    const outcome = await check(test, detectedApiserver({ 'secure-port': await serve(test, gullible) }));
    assert.equal(outcome.result, 'failed');
    assert.match(outcome.summary, /certificate of another CA: answered 200/);
  });

  it('fails for a kubelet that takes us for somebody else', async (test) => {
    const confused: Say = (user) => kubelet(user === USER ? 'system:anonymous' : user, '/healthz');
    const outcome = await check(test, detectedKubelet({ flags: { port: await serve(test, confused) } }));
    assert.equal(outcome.result, 'failed');
    assert.match(outcome.summary, /instead of 403 that names kube-mtls:probe:w1/);
  });

  it('counts it as the silence of an API server that a kubelet which believes us asks in vain, and nothing else', async (test) => {
    const vain =
      (name: string): Say =>
      (user, path) =>
        user === USER
          ? { status: 500, body: `Authorization error (user=${name}, verb=get, resource=nodes, subresource=proxy)` }
          : kubelet(user, path);
    const ask = async (say: Say, serial = serving.serial) =>
      check(test, detectedKubelet({ flags: { port: await serve(test, say) } }), serial);
    const { result, unanswered } = await ask(vain(USER));
    assert.deepEqual([result, unanswered], ['failed', true]);
    const broken: Say = (user, path) => (user === USER ? { status: 500, body: 'panic' } : kubelet(user, path));
    for (const outcome of [await ask(vain('system:anonymous')), await ask(broken), await ask(vain(USER), 'ab')]) {
      assert.equal(outcome.result, 'failed');
      assert.equal(outcome.unanswered, undefined, outcome.summary);
    }
  });

  it('fails for a manager that is not healthy, that takes us for somebody else, or that believes another CA', async (test) => {
    const wrong: [Say, RegExp][] = [
      [
        (user, path) => (path === '/healthz' ? { status: 500, body: 'leaderElection' } : manager(user, path)),
        /500 .*leader/,
      ],
      [
        (user, path) => manager(user === USER ? 'system:kube-scheduler' : user, path),
        /instead of 403 that names kube-mtls/,
      ],
      [(user, path) => manager(user === '' ? 'stranger' : user, path), /certificate of another CA: answered 403/],
    ];
    for (const [say, why] of wrong) {
      const detected = detectedManager('kube-scheduler', { 'secure-port': await serve(test, say) });
      const outcome = await check(test, detected);
      assert.equal(outcome.result, 'failed');
      assert.match(outcome.summary, why);
    }
  });

  it('says why a manager that serves nothing is not probed', async (test) => {
    const outcome = await check(test, detectedManager('kube-scheduler', { 'secure-port': '0' }));
    assert.deepEqual([outcome.result, outcome.summary], ['skipped', 'kube-scheduler serves nothing (--secure-port=0)']);
  });

  it('says of a process that was left running that it still shows the certificate from before', async (test) => {
    const detected = detectedApiserver({ 'secure-port': await serve(test, apiserver) });
    const outcome = await check(test, detected, 'abc', true);
    assert.equal(outcome.result, 'failed');
    const words = `still shows serial ${serving.serial} from before; it did not take up the new files within 150 s`;
    assert.match(outcome.summary, new RegExp(words));
  });

  it('rejects without roots, instead of verifying against nothing', async (test) => {
    const detected = detectedApiserver({ 'secure-port': '1' });
    const folder = await folderOf(test, { 'probe-client': client });
    const serials = new Map([['serving', 'abc']]);
    const expectation: Expectation = {
      detected,
      folder,
      serials,
      target: 'enforced',
      live: false,
      rootsPem: new Map(),
    };
    const signal = new AbortController().signal;
    await assert.rejects(checkHandshake({ clock: systemClock, probe }, expectation, noPatience, signal), {
      reason: 'invalid-request',
    });
  });

  it('fails for an etcd without a listener that can be probed', async () => {
    const detected = detectedEtcd({
      'listen-client-urls': 'unix://etcd.sock',
      'listen-peer-urls': 'http://127.0.0.1:1',
    });
    const expectation: Expectation = {
      detected,
      folder: '/nowhere',
      serials: new Map(),
      target: 'prepared',
      live: false,
      rootsPem: new Map(),
    };
    const signal = new AbortController().signal;
    const outcome = await checkHandshake({ clock: systemClock, probe }, expectation, noPatience, signal);
    assert.equal(outcome.result, 'failed');
  });
});

function userOf(request: IncomingMessage): string | undefined {
  const socket = request.socket as TLSSocket; // the server is an https server
  const name = socket.getPeerX509Certificate()?.toLegacyObject().subject.CN;
  if (typeof name !== 'string') return undefined;
  return socket.authorized ? name : '';
}
