import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { before, describe, it, type TestContext } from 'node:test';
import type { TLSSocket } from 'node:tls';
import { systemClock } from '../../common/time/clock.ts';
import { checkCluster } from './check-cluster.ts';
import { detectedManager } from './detected-for-tests.ts';
import type { Expectation } from './expectation.ts';
import { noPatience } from './no-patience-for-tests.ts';
import {
  folderOf,
  kubeconfigText,
  serveTls,
  type TestAuthority,
  type TestLeaf,
  testAuthority,
} from './pki-for-tests.ts';
import { probe } from './probe.ts';

const SINCE_MS = Date.UTC(2026, 0, 1, 12);
const LEASES = '/apis/coordination.k8s.io/v1/namespaces/kube-system/leases';

describe('checkCluster of a manager', () => {
  let authority: TestAuthority;
  let serving: TestLeaf;
  let client: TestLeaf;

  before(async () => {
    authority = await testAuthority('kubernetes');
    serving = await authority.issue();
    client = await authority.issue({ commonName: 'system:kube-scheduler', usages: ['client'] });
  });

  /** An API server of v1.20 that answers so at the lease. */
  async function check(
    test: TestContext,
    lease: { status: number; body: unknown },
    options: { flags?: Record<string, string>; shows?: TestLeaf; change?: Partial<Expectation> } = {},
  ) {
    const asked: string[] = [];
    const port = await serveTls(
      test,
      serving,
      (request, response) => {
        const { authorized } = request.socket as TLSSocket; // the server is an https server
        asked.push(request.url ?? '');
        if (!authorized) response.writeHead(401).end('Unauthorized');
        else if (request.url === '/apis') response.writeHead(200).end();
        else if (request.url?.startsWith(LEASES)) response.writeHead(lease.status).end(JSON.stringify(lease.body));
        else response.writeHead(403).end('forbidden: User "system:kube-scheduler" cannot create');
      },
      { requestCert: true, rejectUnauthorized: false, ca: authority.rootsPem },
    );
    const path = join(await folderOf(test, {}), 'scheduler.conf');
    const text = kubeconfigText(port, authority.rootsPem, options.shows ?? client);
    await writeFile(path, text);
    const expectation: Expectation = {
      detected: detectedManager('kube-scheduler', options.flags ?? {}, { [path]: text }),
      folder: '/nowhere',
      serials: new Map([['client', client.serial]]),
      target: 'enforced',
      live: false,
      rootsPem: new Map([['kubernetes', authority.rootsPem]]),
      ...options.change,
    };
    const signal = new AbortController().signal;
    const outcome = await checkCluster({ clock: systemClock, probe }, expectation, SINCE_MS, noPatience, signal);
    return { ...outcome, asked };
  }

  const lease = (holderIdentity: string, second: string) => ({
    status: 200,
    body: { spec: { holderIdentity, renewTime: `2026-01-01T${second}.000000Z` } },
  });
  const [own, before12, after12] = [`${hostname()}_0a1b`, '11:59:59', '12:00:01'];

  const cases: { what: string; at: { status: number; body: unknown }; flags?: Record<string, string>; want: RegExp }[] =
    [
      { what: 'passes as the leader that renewed its lease since', at: lease(own, after12), want: /^passed/ },
      { what: 'fails as a leader that renewed it before only', at: lease(own, before12), want: /^failed.*not since/ },
      { what: 'passes as a standby', at: lease('cp2_0a1b', before12), want: /^passed.*it stands by/ },
      {
        what: 'takes no other host for itself',
        at: lease(`${hostname()}2_0a1b`, before12),
        want: /^passed.*it stands by/,
      },
      { what: 'fails while nobody holds the lease', at: lease('', before12), want: /^failed.*held by nobody/ },
      { what: 'passes without leases', at: { status: 404, body: {} }, want: /^passed/ },
      { what: 'fails for an answer that is no lease', at: { status: 200, body: [] }, want: /^failed/ },
      { what: 'fails when the lease cannot be asked for', at: { status: 500, body: {} }, want: /^failed.*500/ },
      {
        what: 'asks for no lease where none is elected',
        at: { status: 500, body: {} },
        flags: { 'leader-elect': 'false' },
        want: /^passed.*elects no leader/,
      },
    ];
  for (const { what, at, flags = {}, want } of cases) {
    it(what, async (test) => {
      const { result, summary, evidence } = await check(test, at, { flags });
      assert.match(`${result} ${summary} ${evidence.map(({ line }) => line).join(' ')}`, want);
    });
  }

  it('asks for the lease that its flags name', async (test) => {
    const flags = { 'leader-elect-resource-name': 'mine' };
    const { asked } = await check(test, lease(own, after12), { flags });
    assert.ok(asked.includes(`${LEASES}/mine`));
  });

  it('fails when its certificate is not the new one, and goes on with its own while it is only made to trust', async (test) => {
    const shows = await authority.issue({ commonName: 'system:kube-scheduler', usages: ['client'] });
    assert.match((await check(test, lease(own, after12), { shows })).summary, /instead of the new one/);
    const change = { target: 'trusting' as const, serials: new Map<string, string>() };
    assert.equal((await check(test, lease(own, after12), { shows, change })).result, 'passed');
  });

  it('fails without a kubeconfig', async (test) => {
    const change = { detected: detectedManager('kube-scheduler', {}) };
    assert.match((await check(test, lease(own, after12), { change })).summary, /has no kubeconfig/);
  });
});
