import assert from 'node:assert/strict';
import { once } from 'node:events';
import { after, before, describe, it } from 'node:test';
import { connect, type TLSSocket } from 'node:tls';
import { status } from '@grpc/grpc-js';
import { Health, HealthCheckResponse_ServingStatus as Serving } from '../../proto/gen/grpc/health/v1/health_pb.js';
import { AgentService } from '../../proto/gen/kubemtls/v1/agent_pb.js';
import { AppError } from '../errors/app-error.ts';
import type { LogFields } from '../log/fields.ts';
import { silentLog } from '../log/log.ts';
import { generateKey } from '../x509/keys.ts';
import { createAuthority, newSerial, type Signer, signCertificate } from '../x509/sign.ts';
import { createClient } from './client.ts';
import { openConnection, type Transport } from './connection.ts';
import { addService, type Handlers } from './handlers.ts';
import { addHealth } from './health.ts';
import { type Listener, openListener } from './listener.ts';
import { addReflection } from './reflection.ts';

const day = 86_400_000;
const logged: [string, LogFields][] = [];
let fleet: Signer;
let stranger: Signer;
let listener: Listener;
let serverTls: { certPem: string; keyPem: string; clientRootsPem: string };
const asked: string[] = [];

before(async () => {
  fleet = await authority('fleet');
  stranger = await authority('fleet'); // same name, other key
  const { certPem, keyPem } = await leaf(fleet, 'server');
  serverTls = { certPem: certPem + fleet.certificate.pem, keyPem, clientRootsPem: fleet.certificate.pem };
  const log = { ...silentLog, info: note, debug: note, error: note };
  listener = await openListener({
    host: '127.0.0.1',
    port: 0,
    tls: serverTls,
    log,
    register: (server) => {
      const options = {
        admit: async () => 'node/w1',
        actorOf: (caller: string) => caller,
        elapsed: () => performance.now(),
        log,
      };
      addService(server, AgentService, handlers, options);
      addHealth(server, [AgentService.typeName], () => true);
      addReflection(server, [AgentService.typeName], [AgentService.file]);
    },
  });
});
after(() => listener.stop(0));

const handlers: Handlers<typeof AgentService.method, string> = {
  async acquireRestartPermit(request, call) {
    asked.push(`${request.reason} ${call.address}`);
    if (request.reason === 'bug') throw new TypeError('secret detail');
    if (request.reason === 'busy') throw new AppError('unavailable', 'held by w2', { retryAfterMs: 2500 });
    if (request.reason === 'hang') await once(call.signal, 'abort');
    return { permitId: `for ${request.reason}` };
  },
  async releaseRestartPermit() {
    return {};
  },
  async checkPeers() {
    return {};
  },
  async session(stream) {
    for await (const { message } of stream) {
      if (message.case === 'inventory') throw new AppError('node-revoked', 'the node was revoked');
      stream.write({ message: { case: 'settings', value: { generation: 7n } } });
    }
  },
};

describe('rpc', () => {
  it('carries a call and its answer, and logs it with actor and code', async () => {
    const client = await agent(fleet);
    assert.equal((await client.calls.acquireRestartPermit({ reason: 'new' })).permitId, 'for new');
    client.close();
    const line = logged.find(([, fields]) => fields.actor === 'node/w1' && fields.code === 'OK');
    assert.equal(line?.[1].method, 'kubemtls.v1.AgentService/AcquireRestartPermit');
    assert.equal(asked.at(-1), 'new 127.0.0.1');
  });

  it('brings the reason and the delay of a refusal', async () => {
    const client = await agent(fleet);
    const error = await failure(client.calls.acquireRestartPermit({ reason: 'busy' }));
    assert.deepEqual([error.reason, error.retryAfterMs, error.message], ['unavailable', 2500, 'held by w2']);
    client.close();
  });

  it('hides a bug from the caller, logs it, and lives on', async () => {
    const client = await agent(fleet);
    const error = await failure(client.calls.acquireRestartPermit({ reason: 'bug' }));
    assert.equal(error.reason, 'internal');
    assert.equal(error.message.includes('secret'), false);
    assert.ok(logged.some(([message, fields]) => message === 'call failed' && String(fields.error).includes('secret')));
    assert.equal((await client.calls.acquireRestartPermit({ reason: 'again' })).permitId, 'for again');
    client.close();
  });

  it('ends a call at its deadline and at the signal', async () => {
    const client = await agent(fleet);
    const late = await failure(client.calls.acquireRestartPermit({ reason: 'hang' }, { deadlineMs: 100 }));
    assert.equal(late.reason, 'deadline');
    const stop = new AbortController();
    const call = client.calls.acquireRestartPermit({ reason: 'hang' }, { signal: stop.signal });
    stop.abort();
    await assert.rejects(call, { name: 'AbortError' });
    client.close();
  });

  it('streams both ways until the client closes', async () => {
    const client = await agent(fleet);
    const stream = client.calls.session();
    stream.write({ message: { case: 'heartbeat', value: {} } });
    stream.write({ message: { case: 'heartbeat', value: {} } });
    stream.close();
    const generations = [];
    for await (const { message } of stream) if (message.case === 'settings') generations.push(message.value.generation);
    assert.deepEqual(generations, [7n, 7n]);
    client.close();
  });

  it('ends calls and streams when the connection is closed', async () => {
    const client = await agent(fleet);
    const stream = client.calls.session();
    stream.write({ message: { case: 'heartbeat', value: {} } });
    const call = client.calls.acquireRestartPermit({ reason: 'hang' });
    const answers = stream[Symbol.asyncIterator]();
    await answers.next(); // both are under way
    client.close();
    assert.equal((await failure(call)).reason, 'unavailable');
    assert.equal((await failure(answers.next())).reason, 'unavailable');
  });

  it('ends a stream with the reason that the server throws', async () => {
    const client = await agent(fleet);
    const stream = client.calls.session();
    stream.write({ message: { case: 'inventory', value: {} } });
    assert.equal((await failure(drain(stream))).reason, 'node-revoked');
    stream.write({ message: { case: 'heartbeat', value: {} } }); // after the end: nothing happens
    client.close();
  });

  it('refuses bytes that are no message, and messages above one megabyte', async () => {
    const connection = openConnection(await transport(fleet));
    const raw = (bytes: Buffer) =>
      new Promise<number>((resolve) => {
        const path = '/kubemtls.v1.AgentService/AcquireRestartPermit';
        const keep = (buffer: Buffer) => buffer;
        connection.grpc.makeUnaryRequest(path, keep, keep, bytes, (error) => resolve(error?.code ?? 0));
      });
    assert.equal(await raw(Buffer.from('0aff', 'hex')), status.INVALID_ARGUMENT);
    assert.equal(await raw(Buffer.alloc(1024 * 1024 + 1, 0x0a)), status.RESOURCE_EXHAUSTED);
    assert.equal(await raw(Buffer.alloc(0)), status.OK);
    connection.close();
  });

  it('says that it serves, and knows its services', async () => {
    const connection = openConnection(await transport(fleet));
    const health = createClient(Health, connection);
    assert.equal((await health.check({})).status, Serving.SERVING);
    assert.equal((await health.check({ service: AgentService.typeName })).status, Serving.SERVING);
    assert.equal((await failure(health.check({ service: 'other' }))).reason, 'not-found');
    connection.close();
  });
});

describe('tls of a listener', () => {
  it('lets no byte of HTTP/2 out to a client without a certificate', async () => {
    const seen = await rawBytes({});
    assert.equal(seen.bytes, 0);
    assert.match(seen.error, /certificate required|ECONNRESET|closed/i);
    assert.ok(logged.some(([message, fields]) => message === 'tls handshake failed' && fields.address === '127.0.0.1'));
  });

  it('lets no byte of HTTP/2 out to a client of a stranger CA with the same name', async () => {
    const { certPem, keyPem } = await leaf(stranger, 'w1');
    assert.equal((await rawBytes({ cert: certPem, key: keyPem })).bytes, 0);
  });

  it('lets no byte of HTTP/2 out to an expired client certificate', async () => {
    const { certPem, keyPem } = await leaf(fleet, 'w1', -day);
    assert.equal((await rawBytes({ cert: certPem, key: keyPem })).bytes, 0);
  });

  it('speaks HTTP/2 to a client of the fleet, so that the refusals above mean something', async () => {
    const { certPem, keyPem } = await leaf(fleet, 'w1');
    assert.ok((await rawBytes({ cert: certPem, key: keyPem })).bytes > 0);
  });

  it('refuses TLS 1.1', async () => {
    const { certPem, keyPem } = await leaf(fleet, 'w1');
    const old = { cert: certPem, key: keyPem, minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'ALL:@SECLEVEL=0' };
    assert.match((await rawBytes(old)).error, /protocol version|EPROTO|unsupported/i);
  });

  it('says unavailable with the cause when the client does not trust the server', async () => {
    const client = await agent(fleet, { rootsPem: stranger.certificate.pem });
    const error = await failure(client.calls.acquireRestartPermit({}));
    assert.equal(error.reason, 'unavailable');
    assert.match(error.message, /^the server cannot be reached: .*(self[- ]signed|signature)/);
    client.close();
  });

  it('says unavailable to a client whose certificate is refused', async () => {
    const client = await agent(stranger, { rootsPem: fleet.certificate.pem });
    assert.equal((await failure(client.calls.acquireRestartPermit({}))).reason, 'unavailable');
    client.close();
  });

  it('shows a new certificate after a reload, and still refuses clients without one and TLS 1.1', async () => {
    const fresh = await leaf(fleet, 'server');
    const before = await servedSerial();
    listener.reload({ ...serverTls, certPem: fresh.certPem, keyPem: fresh.keyPem });
    assert.notEqual(await servedSerial(), before);
    assert.equal((await rawBytes({})).bytes, 0);
    const { certPem, keyPem } = await leaf(fleet, 'w1');
    const old = { cert: certPem, key: keyPem, minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'ALL:@SECLEVEL=0' };
    assert.match((await rawBytes(old)).error, /protocol version|EPROTO|unsupported/i);
    assert.throws(() => listener.reload({ certPem: fresh.certPem, keyPem: fresh.keyPem }));
  });
});

function note(message: string, fields: LogFields = {}): void {
  logged.push([message, fields]);
}

async function agent(signer: Signer, override: Partial<Transport> = {}) {
  const connection = openConnection({ ...(await transport(signer)), ...override });
  return { calls: createClient(AgentService, connection), close: () => connection.close() };
}

async function transport(signer: Signer): Promise<Transport> {
  const { certPem, keyPem } = await leaf(signer, 'w1');
  return { address: `127.0.0.1:${listener.port}`, rootsPem: fleet.certificate.pem, certPem, keyPem };
}

async function failure(call: Promise<unknown>): Promise<AppError> {
  const error = await call.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  assert.ok(error instanceof AppError, `expected an AppError, got ${error}`);
  return error;
}

async function drain(stream: AsyncIterable<unknown>): Promise<void> {
  for await (const _ of stream);
}

/** Bytes that the server sends after the handshake to a client that says the preface of HTTP/2, within the time it takes to close or answer. */
function rawBytes(options: object): Promise<{ bytes: number; error: string }> {
  return new Promise((resolve) => {
    const socket = dial(options);
    let error = 'closed';
    socket.on('secureConnect', () => socket.write('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0'));
    socket.on('data', (data: Buffer) => {
      resolve({ bytes: data.length, error: '' });
      socket.destroy();
    });
    socket.on('error', (thrown: Error) => {
      error = `${thrown.message} ${'code' in thrown ? thrown.code : ''}`;
    });
    socket.on('close', () => resolve({ bytes: 0, error }));
  });
}

async function servedSerial(): Promise<string> {
  const socket = dial({});
  socket.on('error', () => {});
  await once(socket, 'secureConnect');
  const { serialNumber } = socket.getPeerCertificate();
  socket.destroy();
  return serialNumber;
}

function dial(options: object): TLSSocket {
  return connect({
    host: '127.0.0.1',
    port: listener.port,
    ca: fleet.certificate.pem,
    ALPNProtocols: ['h2'],
    checkServerIdentity: () => undefined,
    ...options,
  });
}

function authority(commonName: string): Promise<Signer> {
  const notBefore = new Date(Date.now() - 10 * day);
  const notAfter = new Date(Date.now() + 10 * day);
  return createAuthority({ commonName, serial: newSerial(), algorithm: 'ecdsa-p256', notBefore, notAfter });
}

async function leaf(signer: Signer, commonName: string, endsInMs = day): Promise<{ certPem: string; keyPem: string }> {
  const key = await generateKey('ecdsa-p256');
  const fields = {
    serial: newSerial(),
    commonName,
    organizations: [],
    publicKey: key.publicKey,
    notBefore: new Date(Date.now() - 5 * day),
    notAfter: new Date(Date.now() + endsInMs),
    usages: ['server' as const, 'client' as const],
    dnsNames: [],
    ipAddresses: ['127.0.0.1'],
    uris: [],
  };
  return { certPem: signCertificate(fields, signer), keyPem: key.pem };
}
