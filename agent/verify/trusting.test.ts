import assert from 'node:assert/strict';
import { join } from 'node:path';
import { before, describe, it, type TestContext } from 'node:test';
import type { TLSSocket } from 'node:tls';
import { systemClock } from '../../common/time/clock.ts';
import type { Detected } from '../detect/detected.ts';
import { checkHandshake } from './check-handshake.ts';
import { detectedApiserver, detectedEtcd, detectedKubelet, detectedManager } from './detected-for-tests.ts';
import { noPatience } from './no-patience-for-tests.ts';
import { folderOf, serveTls, type TestAuthority, type TestLeaf, testAuthority } from './pki-for-tests.ts';
import { probe } from './probe.ts';

const signal = new AbortController().signal;
const USER = 'kube-mtls:probe:w1';

/** Handshakes of components that keep the certificates of the old CA and are made to trust the new one. */
describe('checkHandshake of what is only made to trust', () => {
  let old: TestAuthority;
  let renewed: TestAuthority;
  let oldServing: TestLeaf;
  let probeClient: TestLeaf;
  let both: string;

  before(async () => {
    [old, renewed] = await Promise.all([testAuthority('kubernetes'), testAuthority('kubernetes')]);
    oldServing = await old.issue({ dnsNames: ['w1', 'kubernetes'] });
    probeClient = await renewed.issue({ commonName: USER, usages: ['client'], dnsNames: [], ipAddresses: [] });
    both = renewed.rootsPem + old.rootsPem;
  });

  async function check(test: TestContext, detected: Detected) {
    const folder = await folderOf(test, { 'probe-client': probeClient, 'healthcheck-client': probeClient });
    const serials = new Map([['probe-client', probeClient.serial]]);
    const rootsPem = new Map([
      ['kubernetes' as const, both],
      ['etcd' as const, both],
    ]);
    const expectation = { detected, folder, serials, target: 'trusting' as const, live: false, rootsPem };
    return checkHandshake({ clock: systemClock, probe }, expectation, noPatience, signal);
  }

  /** Believes the callers of these roots, and refuses others as Kubernetes' servers do; a manager's /healthz is open. */
  async function serve(test: TestContext, trusts: string, leaf: TestLeaf, manager: boolean): Promise<string> {
    const options = { requestCert: true, rejectUnauthorized: false, ca: trusts };
    const port = await serveTls(
      test,
      leaf,
      (request, response) => {
        const socket = request.socket as TLSSocket; // the server is an https server
        const shown = socket.getPeerX509Certificate() !== undefined;
        if (shown && !socket.authorized) response.writeHead(401).end('Unauthorized');
        else if (request.url === '/apis' && shown) response.writeHead(200).end();
        else if (request.url === '/healthz' && manager) response.writeHead(200).end('ok');
        else response.writeHead(403).end(`User "${shown ? USER : 'system:anonymous'}" cannot get`);
      },
      options,
    );
    return String(port);
  }

  const given = { 'tls-cert-file': '/old.crt' };
  const kinds: { what: string; detected(port: string, flags: Record<string, string>): Detected }[] = [
    { what: 'an API server', detected: (port, flags) => detectedApiserver({ 'secure-port': port, ...flags }) },
    {
      what: 'a controller manager',
      detected: (port, flags) => detectedManager('kube-controller-manager', { 'secure-port': port, ...flags }),
    },
    { what: 'a kubelet', detected: (port, flags) => detectedKubelet({ flags: { port, ...flags } }) },
  ];
  for (const { what, detected } of kinds) {
    describe(what, () => {
      const manager = what === 'a controller manager';

      it('passes with its old certificate once it believes callers of the new CA', async (test) => {
        const outcome = await check(test, detected(await serve(test, both, oldServing, manager), given));
        assert.equal(outcome.result, 'passed', outcome.summary);
        assert.match(outcome.summary, /certificate from before/);
      });

      it('fails while it trusts the old CA alone', async (test) => {
        const outcome = await check(test, detected(await serve(test, old.rootsPem, oldServing, manager), given));
        assert.equal(outcome.result, 'failed');
        assert.match(outcome.summary, /probe-client: answered 401/);
      });

      it('fails with a given certificate that chains to neither CA, and takes one of its own making', async (test) => {
        const foreign = await (await testAuthority('self')).issue({ dnsNames: ['w1', 'kubernetes'] });
        const port = await serve(test, both, foreign, manager);
        const outcome = await check(test, detected(port, given));
        assert.equal(outcome.result, 'failed');
        assert.match(outcome.summary, /unknown-authority/);
        const own = await check(test, detected(port, {}));
        assert.equal(own.result, 'passed', own.summary);
      });
    });
  }

  describe('an etcd member', () => {
    /** Its client and its peer listener, which demand certificates of these roots. */
    async function member(
      test: TestContext,
      trusts: { client: string; peer: string },
      more: Record<string, string> = {},
    ) {
      const files = await folderOf(test, { peer: oldServing });
      const listen = (ca: string, body: string) =>
        serveTls(test, oldServing, (_, response) => void response.writeHead(200).end(body), {
          requestCert: true,
          rejectUnauthorized: true,
          ca,
        });
      const [client, peer] = [
        await listen(trusts.client, '{"health":"true"}'),
        await listen(trusts.peer, 'etcdserver'),
      ];
      return detectedEtcd({
        'listen-client-urls': `https://127.0.0.1:${client}`,
        'listen-peer-urls': `https://127.0.0.1:${peer}`,
        'peer-cert-file': join(files, 'peer.crt'),
        'peer-key-file': join(files, 'peer.key'),
        'trusted-ca-file': '/old-ca.crt',
        'peer-trusted-ca-file': '/old-ca.crt',
        ...more,
      });
    }

    it('passes once both listeners take certificates of the new CA and refuse callers without one', async (test) => {
      const outcome = await check(test, await member(test, { client: both, peer: both }));
      assert.equal(outcome.result, 'passed', outcome.summary);
      const lines = outcome.evidence.map(({ source, line }) => `${source}: ${line}`).join('\n');
      assert.equal(lines.match(/healthcheck-client: answered 200/g)?.length, 2);
      assert.equal(lines.match(/without certificate: refused by/g)?.length, 2);
    });

    it('fails while its clients or its peers are to be of the old CA', async (test) => {
      for (const trusts of [
        { client: old.rootsPem, peer: both },
        { client: both, peer: old.rootsPem },
      ]) {
        const outcome = await check(test, await member(test, trusts));
        assert.equal(outcome.result, 'failed');
        assert.match(outcome.summary, /healthcheck-client: refused by/);
      }
    });

    it('does not call the peer listener as a client where only peers of certain names are let in', async (test) => {
      const detected = await member(test, { client: both, peer: old.rootsPem }, { 'peer-cert-allowed-cn': 'peer' });
      assert.equal((await check(test, detected)).result, 'passed');
    });

    it('demands no more of callers without a certificate than before the change', async (test) => {
      const open = () =>
        serveTls(test, oldServing, (request, response) => {
          response.writeHead(200).end(request.url === '/health' ? '{"health":"true"}' : 'etcdserver');
        });
      const listens = {
        'listen-client-urls': `https://127.0.0.1:${await open()}`,
        'listen-peer-urls': `https://127.0.0.1:${await open()}`,
      };
      const files = await folderOf(test, { peer: oldServing });
      const peer = { 'peer-cert-file': join(files, 'peer.crt'), 'peer-key-file': join(files, 'peer.key') };
      assert.equal((await check(test, detectedEtcd({ ...listens, ...peer }))).result, 'passed');
      const demanding = detectedEtcd({ ...listens, ...peer, 'client-cert-auth': 'true' });
      assert.match((await check(test, demanding)).summary, /without certificate: answered 200 .*instead of a refusal/);
    });
  });
});
