import assert from 'node:assert/strict';
import { type AddressInfo, createServer as createTcpServer, type Server } from 'node:net';
import { before, describe, it, type TestContext } from 'node:test';
import { createServer } from 'node:tls';
import { AppError, type Reason } from '../../common/errors/app-error.ts';
import { until } from '../../common/time/until-for-tests.ts';
import { parseCertificate } from '../../common/x509/certificate.ts';
import { type TestAuthority, type TestLeaf, testAuthority } from '../verify/pki-for-tests.ts';
import { fetchPinnedRoots } from './pinned-roots.ts';

const HOUR = 3_600_000;
let fleet: TestAuthority;
/** Same name as the fleet CA, another key. */
let rogue: TestAuthority;
let pin: string;

before(async () => {
  fleet = await testAuthority('fleet');
  rogue = await testAuthority('fleet');
  pin = parseCertificate(fleet.rootsPem).publicKeyPin;
});

/** A server that shows these certificates, and what it was sent after the handshake. */
async function serve(test: TestContext, leaf: TestLeaf, morePem: string) {
  const got: Buffer[] = [];
  let connections = 0;
  let closed = 0;
  const server = createServer({ cert: leaf.certPem + morePem, key: leaf.keyPem, ALPNProtocols: ['h2'] }, (socket) => {
    socket.on('data', (chunk) => got.push(chunk));
    socket.on('error', () => {}); // the agent hangs up as it likes
  });
  server.on('tlsClientError', () => {});
  server.on('connection', (socket) => {
    connections++;
    socket.on('close', () => closed++);
  });
  const port = await listen(test, server);
  const sent = async () => {
    await until(() => closed === 1, 'the connection to be closed');
    return Buffer.concat(got).length;
  };
  return { port, sent, connections: () => connections };
}

async function listen(test: TestContext, server: Server): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  test.after(() => server.close());
  return (server.address() as AddressInfo).port; // a TCP server has an address with a port
}

function fetch(port: number, options: { pin?: string; timeoutMs?: number } = {}): Promise<string> {
  return fetchPinnedRoots({ host: '127.0.0.1', port, pin: options.pin ?? pin }, Date.now(), options.timeoutMs);
}

function failure(reason: Reason, words: RegExp) {
  return (error: unknown) => error instanceof AppError && error.reason === reason && words.test(error.message);
}

describe('fetchPinnedRoots', () => {
  it('returns the root with the pinned key, and sends nothing', async (test) => {
    const server = await serve(test, await fleet.issue(), fleet.rootsPem);
    assert.equal(await fetch(server.port), parseCertificate(fleet.rootsPem).pem);
    assert.equal(await server.sent(), 0);
  });

  it('takes a pin in capitals', async (test) => {
    const server = await serve(test, await fleet.issue(), fleet.rootsPem);
    assert.ok(await fetch(server.port, { pin: pin.toUpperCase().replace('SHA256', 'sha256') }));
  });

  it('refuses another pin, names both, and sends nothing', async (test) => {
    const server = await serve(test, await fleet.issue(), fleet.rootsPem);
    const other = `sha256:${'0'.repeat(64)}`;
    const words = new RegExp(`shows ${pin}, the pin is ${other}; the token was not sent`);
    await assert.rejects(fetch(server.port, { pin: other }), failure('unauthenticated', words));
    assert.equal(await server.sent(), 0);
  });

  it('refuses the leaf of another CA, although the pinned root stands beside it', async (test) => {
    for (const more of [fleet.rootsPem, rogue.rootsPem + fleet.rootsPem, fleet.rootsPem + rogue.rootsPem]) {
      const server = await serve(test, await rogue.issue(), more);
      await assert.rejects(fetch(server.port), failure('unauthenticated', /the token was not sent/));
      assert.equal(await server.sent(), 0);
    }
  });

  it('refuses a chain without the CA, even when its leaf is good', async (test) => {
    const server = await serve(test, await fleet.issue(), '');
    await assert.rejects(fetch(server.port), failure('unauthenticated', /is not the pinned server/));
  });

  it('refuses a leaf whose own key has the pin', async (test) => {
    const leaf = await fleet.issue();
    const leafPin = parseCertificate(leaf.certPem).publicKeyPin;
    const server = await serve(test, leaf, fleet.rootsPem);
    await assert.rejects(fetch(server.port, { pin: leafPin }), failure('unauthenticated', /is not the pinned server/));
  });

  const now = Date.now();
  const outside: [what: string, fromMs: number, toMs: number, words: RegExp][] = [
    ['expired', now - 2 * HOUR, now - HOUR, /does not end in the pinned CA: the certificate expired/],
    ['not valid yet', now + HOUR, now + 2 * HOUR, /not valid before .*check the clock/],
  ];
  for (const [what, fromMs, toMs, words] of outside) {
    it(`refuses a leaf that is ${what}`, async (test) => {
      const leaf = await fleet.issue({ notBefore: new Date(fromMs), notAfter: new Date(toMs) });
      const server = await serve(test, leaf, fleet.rootsPem);
      await assert.rejects(fetch(server.port), failure('unauthenticated', words));
    });
  }

  for (const malformed of ['', 'sha256:', '0'.repeat(64), `sha1:${'0'.repeat(40)}`, `sha256:${'0'.repeat(63)}`]) {
    it(`refuses the malformed pin "${malformed}" before it connects`, async (test) => {
      const server = await serve(test, await fleet.issue(), fleet.rootsPem);
      await assert.rejects(fetch(server.port, { pin: malformed }), failure('invalid-request', /64 hexadecimal digits/));
      assert.equal(server.connections(), 0);
    });
  }

  it('says what to check when nobody listens', async (test) => {
    const server = createTcpServer();
    const port = await listen(test, server);
    await new Promise((resolve) => server.close(resolve));
    await assert.rejects(fetch(port), failure('unavailable', /cannot reach .*ECONNREFUSED.*check the address/));
  });

  it('gives up on a server that is silent, and on one that hangs up', async (test) => {
    const silent = await listen(
      test,
      createTcpServer((socket) => socket.on('error', () => {})),
    );
    await assert.rejects(fetch(silent, { timeoutMs: 50 }), failure('unavailable', /no answer in time/));
    const rude = await listen(
      test,
      createTcpServer((socket) => socket.destroy()),
    );
    await assert.rejects(fetch(rude), failure('unavailable', /cannot reach/));
  });
});
