import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { before, describe, it, type TestContext } from 'node:test';
import type { TLSSocket } from 'node:tls';
import { systemClock } from '../../common/time/clock.ts';
import type { Detected } from '../detect/detected.ts';
import { checkCluster } from './check-cluster.ts';
import { checkHandshake } from './check-handshake.ts';
import { detectedAdmin, detectedProxy } from './detected-for-tests.ts';
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

const signal = new AbortController().signal;
const PROXY = 'system:kube-proxy';

/** What the API server says to a caller that it knows, by "METHOD path"; /apis is open to them. */
type Says = Record<string, { status: number; body: string }>;
const REVIEW = 'POST /apis/authentication.k8s.io/v1/selfsubjectreviews';
const ACCESS = 'POST /apis/authorization.k8s.io/v1/selfsubjectaccessreviews';
const knownAs = (username: string) => ({ status: 201, body: JSON.stringify({ status: { userInfo: { username } } }) });
const allowed = (yes: boolean) => ({ status: 201, body: JSON.stringify({ status: { allowed: yes } }) });

describe('the checks of what only calls', () => {
  let authority: TestAuthority;
  let serving: TestLeaf;
  let client: TestLeaf;

  before(async () => {
    authority = await testAuthority('kubernetes');
    serving = await authority.issue();
    client = await authority.issue({ commonName: PROXY, usages: ['client'] });
  });

  async function serve(test: TestContext, says: Says): Promise<number> {
    const options = { requestCert: true, rejectUnauthorized: false, ca: authority.rootsPem };
    return serveTls(
      test,
      serving,
      (request, response) => {
        const socket = request.socket as TLSSocket; // the server is an https server
        const what = `${request.method} ${request.url}`;
        const known =
          what === 'GET /apis' ? { status: 200, body: '' } : (says[what] ?? { status: 404, body: 'not found' });
        const { status, body } = socket.authorized ? known : { status: 401, body: 'Unauthorized' };
        response.writeHead(status).end(body);
      },
      options,
    );
  }

  /** Puts kubeconfigs on disk and expects of the component that it uses them. */
  async function begin(
    test: TestContext,
    texts: Record<string, string>,
    of: (path: (name: string) => string) => Detected,
  ) {
    const folder = await folderOf(test, {});
    for (const [name, text] of Object.entries(texts)) await writeFile(join(folder, name), text);
    const expectation: Expectation = {
      detected: of((name) => join(folder, name)),
      folder: '/nowhere',
      serials: new Map([
        ['client', client.serial],
        ['admin', client.serial],
        ['super-admin', client.serial],
      ]),
      target: 'enforced',
      live: false,
      rootsPem: new Map([['kubernetes', authority.rootsPem]]),
    };
    const deps = { clock: systemClock, probe };
    return {
      handshake: (change: Partial<Expectation> = {}) =>
        checkHandshake(deps, { ...expectation, ...change }, noPatience, signal),
      cluster: (change: Partial<Expectation> = {}) =>
        checkCluster(deps, { ...expectation, ...change }, 0, noPatience, signal),
    };
  }

  /** A kube-proxy with that kubeconfig. */
  const proxy = (test: TestContext, text: string) =>
    begin(test, { 'proxy.conf': text }, (path) => detectedProxy(path('proxy.conf')));

  describe('of kube-proxy', () => {
    const passing: { what: string; says: Says; line: RegExp }[] = [
      {
        what: 'is told its name',
        says: { [REVIEW]: knownAs(PROXY) },
        line: /the API server takes it for system:kube-proxy/,
      },
      {
        what: 'is refused by name',
        says: { [REVIEW]: { status: 403, body: `{"message":"forbidden: User \\"${PROXY}\\" cannot create"}` } },
        line: /answered 403/,
      },
      { what: 'is asked of an API server without reviews', says: {}, line: /so that \/apis has to do/ },
    ];
    for (const { what, says, line } of passing) {
      it(`passes when it ${what}`, async (test) => {
        const port = await serve(test, says);
        const { handshake } = await proxy(test, kubeconfigText(port, authority.rootsPem, client));
        const outcome = await handshake();
        assert.equal(outcome.result, 'passed', outcome.summary);
        assert.match(outcome.evidence.map((each) => each.line).join('\n'), line);
      });
    }

    const failing: { what: string; says?: Says; text?(port: number): Promise<string>; why: RegExp }[] = [
      {
        what: 'it is taken for somebody else',
        says: { [REVIEW]: knownAs('kubernetes-admin') },
        why: /takes it for kubernetes-admin/,
      },
      {
        what: 'somebody else is refused',
        says: { [REVIEW]: { status: 403, body: 'forbidden: User "system:kube-proxy2" cannot create' } },
        why: /has to name system:kube-proxy/,
      },
      {
        what: 'the review fails',
        says: { [REVIEW]: { status: 500, body: 'etcd' } },
        why: /SelfSubjectReview answered 500/,
      },
      {
        what: 'its certificate is of another CA',
        text: async (port) => {
          const stranger = await (await testAuthority('kubernetes')).issue({ serial: client.serial });
          return kubeconfigText(port, authority.rootsPem, stranger);
        },
        why: /answered 401/,
      },
      {
        what: 'its kubeconfig still names the certificate from before',
        text: async (port) => kubeconfigText(port, authority.rootsPem, await authority.issue()),
        why: /names a client certificate with serial .*, instead of the new one/,
      },
      {
        what: 'its kubeconfig names no certificate',
        text: async (port) => kubeconfigText(port, authority.rootsPem),
        why: /names no client certificate, instead of the new one/,
      },
      {
        what: 'its kubeconfig lacks a root',
        text: async (port) => kubeconfigText(port, (await testAuthority('kubernetes')).rootsPem, client),
        why: /does not trust the root/,
      },
      { what: 'its kubeconfig is none', text: async () => 'a: [', why: /cannot be used as kubeconfig/ },
    ];
    for (const { what, says = {}, text, why } of failing) {
      it(`fails when ${what}`, async (test) => {
        const port = await serve(test, says);
        const own = text === undefined ? kubeconfigText(port, authority.rootsPem, client) : await text(port);
        const { handshake } = await proxy(test, own);
        const summary = await handshake().then(
          (outcome) => (outcome.result === 'failed' ? outcome.summary : 'passed'),
          (error: Error) => error.message,
        );
        assert.match(summary, why);
      });
    }

    it('goes on with its own certificate, or its token, while it is only made to trust', async (test) => {
      const port = await serve(test, { [REVIEW]: knownAs(PROXY) });
      const trusting = { target: 'trusting' as const, serials: new Map<string, string>() };
      const own = await authority.issue({ commonName: PROXY, usages: ['client'] });
      for (const leaf of [own, undefined]) {
        const { handshake } = await proxy(test, kubeconfigText(port, authority.rootsPem, leaf));
        const outcome = await handshake(trusting);
        assert.equal(outcome.result, 'passed', outcome.summary);
      }
      const another = (await testAuthority('kubernetes')).rootsPem;
      const { handshake } = await proxy(test, kubeconfigText(port, authority.rootsPem, own));
      const both = new Map([['kubernetes' as const, authority.rootsPem + another]]);
      assert.match((await handshake({ ...trusting, rootsPem: both })).summary, /does not trust the root/);
    });

    it('passes in the cluster when it may read the services, and fails when not', async (test) => {
      for (const [status, result] of [
        [200, 'passed'],
        [403, 'failed'],
      ] as const) {
        const port = await serve(test, { 'GET /api/v1/services?limit=1': { status, body: '{}' } });
        const { cluster } = await proxy(test, kubeconfigText(port, authority.rootsPem, client));
        assert.equal((await cluster()).result, result);
      }
    });
  });

  describe('of administrators', () => {
    const both = (test: TestContext, port: number, superAdmin = client) =>
      begin(
        test,
        {
          'admin.conf': kubeconfigText(port, authority.rootsPem, client),
          'super-admin.conf': kubeconfigText(port, authority.rootsPem, superAdmin),
        },
        (path) => detectedAdmin({ admin: path('admin.conf'), superAdmin: path('super-admin.conf') }),
      );

    it('passes with both, and fails with one of them', async (test) => {
      const port = await serve(test, { [REVIEW]: knownAs(PROXY), [ACCESS]: allowed(true) });
      const well = await both(test, port);
      assert.equal((await well.handshake()).result, 'passed');
      assert.equal((await well.cluster()).result, 'passed');
      const { handshake } = await both(test, port, await authority.issue({ commonName: PROXY }));
      assert.match((await handshake()).summary, /super-admin\.conf: names a client certificate with serial/);
    });

    it('fails when there is none', async (test) => {
      const { handshake } = await begin(test, {}, () => detectedAdmin({}));
      assert.match((await handshake()).summary, /has no kubeconfig to call with/);
    });

    it('fails in the cluster when an administrator may not do everything any more', async (test) => {
      const { cluster } = await both(test, await serve(test, { [ACCESS]: allowed(false) }));
      const outcome = await cluster();
      assert.equal(outcome.result, 'failed');
      assert.match(outcome.summary, /it may not do everything: check its group/);
    });

    it('fails in the cluster when nobody says what they may do', async (test) => {
      const { cluster } = await both(test, await serve(test, { [ACCESS]: { status: 500, body: 'etcd' } }));
      assert.match((await cluster()).summary, /answered 500 .*: etcd/);
    });
  });
});
