import assert from 'node:assert/strict';
import { createServer as createHttpServer } from 'node:http';
import { type AddressInfo, createServer as createTcpServer, type Server, type Socket } from 'node:net';
import { before, describe, it, type TestContext } from 'node:test';
import { connect } from 'node:tls';
import { AppError } from '../../common/errors/app-error.ts';
import { serveTls, type TestAuthority, type TestLeaf, testAuthority } from './pki-for-tests.ts';
import { type ProbeOutcome, type ProbeRequest, probe } from './probe.ts';
import type { ServerTrust } from './server-trust.ts';

describe('probe', () => {
  let authority: TestAuthority;
  let server: TestLeaf;
  let client: TestLeaf;

  before(async () => {
    authority = await testAuthority('kubernetes');
    server = await authority.issue();
    client = await authority.issue({ commonName: 'kube-mtls:probe:w1', usages: ['client'] });
  });

  const roots = (): ServerTrust => ({ kind: 'roots', pem: authority.rootsPem, name: '127.0.0.1' });
  const ask = (port: number, change: Partial<ProbeRequest> = {}): Promise<ProbeOutcome> =>
    probe({
      host: '127.0.0.1',
      port,
      tls: { trust: roots() },
      method: 'GET',
      path: '/health',
      timeoutMs: 5000,
      signal: new AbortController().signal,
      ...change,
    });
  const mutual = { requestCert: true, rejectUnauthorized: true };

  it('tells the answer and who served it, the client certificate shown', async (test) => {
    const port = await serveTls(test, server, (request, response) => response.end(`${request.method} ${request.url}`), {
      ...mutual,
      ca: authority.rootsPem,
    });
    const outcome = await ask(port, { tls: { trust: roots(), client } });
    assert.equal(outcome.kind, 'answered');
    assert.equal(outcome.status, 200);
    assert.equal(outcome.body, 'GET /health');
    assert.equal(outcome.served?.serial, server.serial);
    assert.equal(outcome.served?.tlsVersion, 'TLSv1.3');
    assert.equal(outcome.served?.issuer, 'CN=kubernetes');
    assert.ok((outcome.served?.notAfterMs ?? 0) > Date.now());
  });

  it('does not take secureConnect for acceptance, which TLS 1.3 gives to a caller that is then refused', async (test) => {
    let answered = false;
    const handler = () => {
      answered = true;
    };
    const port = await serveTls(test, server, handler, { ...mutual, ca: authority.rootsPem });
    const naive = await new Promise((resolve) => {
      const socket = connect({ host: '127.0.0.1', port, ca: authority.rootsPem }, () => resolve('secureConnect'));
      socket.on('error', resolve);
    });
    assert.equal(naive, 'secureConnect', 'the trap is gone: the comment in probe.ts can go too');
    const outcome = await ask(port);
    assert.equal(outcome.kind, 'refused');
    assert.equal(outcome.by, 'tls-alert');
    assert.equal(outcome.served?.serial, server.serial);
    assert.equal(answered, false);
  });

  it('is refused over TLS 1.2 too', async (test) => {
    const options = { ...mutual, ca: authority.rootsPem, maxVersion: 'TLSv1.2' as const };
    const port = await serveTls(test, server, (_, response) => response.end(), options);
    const outcome = await ask(port);
    assert.equal(outcome.kind, 'refused');
    assert.equal(outcome.by, 'tls-alert');
  });

  it('is refused with a client certificate of another CA of the same name', async (test) => {
    const impostor = await (await testAuthority('kubernetes')).issue({ usages: ['client'] });
    const port = await serveTls(test, server, (_, response) => response.end('in'), {
      ...mutual,
      ca: authority.rootsPem,
    });
    const outcome = await ask(port, { tls: { trust: roots(), client: impostor } });
    assert.equal(outcome.kind, 'refused');
    assert.ok(outcome.by === 'reset' || outcome.by === 'tls-alert', outcome.by);
  });

  it('makes a new connection every time, so a certificate changed in between is seen', async (test) => {
    const handshakes: string[] = [];
    const port = await serveTls(test, server, (request, response) => {
      handshakes.push(`${request.socket.remotePort}`);
      response.end();
    });
    await ask(port);
    await ask(port);
    assert.equal(new Set(handshakes).size, 2);
  });

  it('calls a port that speaks plaintext by that name', async (test) => {
    const port = await listen(
      test,
      createHttpServer((_, response) => response.end('plain')),
    );
    const outcome = await ask(port);
    assert.equal(outcome.kind, 'refused');
    assert.equal(outcome.by, 'plaintext-port');
    assert.equal(outcome.served, undefined);
  });

  it('speaks plaintext when asked to, and sees that a TLS port does not', async (test) => {
    const plain = await listen(
      test,
      createHttpServer((_, response) => response.end('plain')),
    );
    const answered = await ask(plain, { tls: undefined });
    assert.deepEqual(answered, { kind: 'answered', status: 200, body: 'plain', served: undefined });
    const secure = await serveTls(test, server, (_, response) => response.end('in'));
    const refused = await ask(secure, { tls: undefined });
    assert.equal(refused.kind, 'refused');
  });

  it('gives up on a port that accepts and never answers, over TLS and over plaintext', async (test) => {
    const port = await listen(test, silentServer(test));
    test.mock.timers.enable({ apis: ['setTimeout'] });
    const untilLimit = async (change: Partial<ProbeRequest>) => {
      const connected = Promise.withResolvers<void>();
      const asked = ask(port, { ...change, timeoutMs: 50, onConnect: () => connected.resolve() });
      await connected.promise;
      test.mock.timers.tick(50);
      return asked;
    };
    assert.deepEqual(await untilLimit({}), { kind: 'unreachable', detail: 'no TLS handshake within 50 ms' });
    const plain = await untilLimit({ tls: undefined });
    assert.deepEqual(plain, { kind: 'unreachable', detail: 'no answer within 50 ms' });
  });

  it('gives up on a server that finishes the handshake and never answers', async (test) => {
    const called = Promise.withResolvers<void>();
    const port = await serveTls(test, server, () => called.resolve());
    test.mock.timers.enable({ apis: ['setTimeout'] });
    const asked = ask(port, { timeoutMs: 200 });
    await called.promise;
    test.mock.timers.tick(200);
    assert.deepEqual(await asked, { kind: 'unreachable', detail: 'no answer within 200 ms' });
  });

  it('gives up on a server that answers without an end', async (test) => {
    const port = await serveTls(test, server, (_, response) => response.write('begun'));
    assert.equal((await ask(port, { timeoutMs: 200 })).kind, 'unreachable');
  });

  it('calls a closed port unreachable', async () => {
    const gone = createTcpServer();
    await new Promise<void>((resolve) => gone.listen(0, '127.0.0.1', resolve));
    const { port } = gone.address() as AddressInfo;
    await new Promise((resolve) => gone.close(resolve));
    const outcome = await ask(port);
    assert.equal(outcome.kind, 'unreachable');
    assert.match(outcome.detail, /ECONNREFUSED/);
  });

  it('calls a server that hangs up refused by reset', async (test) => {
    const port = await listen(
      test,
      createTcpServer((socket) => {
        socket.on('error', () => {});
        socket.destroy();
      }),
    );
    const outcome = await ask(port);
    assert.equal(outcome.kind, 'refused');
    assert.equal(outcome.by, 'reset');
  });

  it('reads no more than 256 KiB of an answer', async (test) => {
    const port = await serveTls(test, server, (_, response) => response.end('x'.repeat(1024 * 1024)));
    const outcome = await ask(port);
    assert.equal(outcome.kind, 'answered');
    assert.equal(outcome.body.length, 256 * 1024);
  });

  it('posts a body', async (test) => {
    const port = await serveTls(test, server, (request, response) => {
      request.on('data', (chunk: Buffer) => response.write(chunk));
      request.on('end', () => response.end(request.headers['content-type']));
    });
    const outcome = await ask(port, { method: 'POST', body: '{}' });
    assert.equal(outcome.kind === 'answered' && outcome.body, '{}application/json');
  });

  it('stops when its signal fires', async (test) => {
    const port = await listen(test, silentServer(test));
    const stop = new AbortController();
    const running = ask(port, { signal: stop.signal });
    stop.abort();
    await assert.rejects(running, { name: 'AbortError' });
  });

  it('refuses a client certificate whose key is another one', async (test) => {
    const port = await serveTls(test, server, (_, response) => response.end());
    const broken = { certPem: client.certPem, keyPem: server.keyPem };
    await assert.rejects(
      ask(port, { tls: { trust: roots(), client: broken } }),
      (error) => error instanceof AppError && error.reason === 'invalid-request',
    );
  });
});

async function listen(test: TestContext, server: Server): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  test.after(() => server.close());
  return (server.address() as AddressInfo).port; // a TCP server has an address with a port
}

function silentServer(test: TestContext): Server {
  const sockets: Socket[] = [];
  test.after(() => {
    for (const socket of sockets) socket.destroy();
  });
  return createTcpServer((socket) => {
    socket.on('error', () => {});
    sockets.push(socket);
  });
}
