import assert from 'node:assert/strict';
import { once } from 'node:events';
import { after, before, describe, it } from 'node:test';
import { connect, type TLSSocket } from 'node:tls';
import { Health } from '../../proto/gen/grpc/health/v1/health_pb.js';
import { AppError } from '../errors/app-error.ts';
import type { LogFields } from '../log/fields.ts';
import { silentLog } from '../log/log.ts';
import type { Signer } from '../x509/sign.ts';
import { createClient } from './client.ts';
import { openConnection } from './connection.ts';
import { addHealth } from './health.ts';
import { type Listener, openListener } from './listener.ts';
import { testAuthority, testLeaf } from './tls-for-tests.ts';

const day = 86_400_000;
const logged: [string, LogFields][] = [];
let fleet: Signer;
let stranger: Signer;
let listener: Listener;
let serverTls: { certPem: string; keyPem: string; clientRootsPem: string };

before(async () => {
  fleet = await testAuthority('fleet');
  stranger = await testAuthority('fleet'); // same name, other key
  const { certPem, keyPem } = await testLeaf(fleet, 'server');
  serverTls = { certPem: certPem + fleet.certificate.pem, keyPem, clientRootsPem: fleet.certificate.pem };
  const log = { ...silentLog, debug: (message: string, fields: LogFields = {}) => void logged.push([message, fields]) };
  const register = (server: Parameters<typeof addHealth>[0]) => addHealth(server, [], () => true);
  listener = await openListener({ host: '127.0.0.1', port: 0, tls: serverTls, log, register });
});
after(() => listener.stop(0));

describe('tls of a listener', () => {
  it('lets no byte of HTTP/2 out to a client without a certificate', async () => {
    const seen = await rawBytes({});
    assert.equal(seen.bytes, 0);
    assert.match(seen.error, /certificate required|ECONNRESET|closed/i);
    assert.ok(logged.some(([message, fields]) => message === 'tls handshake failed' && fields.address === '127.0.0.1'));
  });

  it('lets no byte of HTTP/2 out to a client of a stranger CA with the same name', async () => {
    const { certPem, keyPem } = await testLeaf(stranger, 'w1');
    assert.equal((await rawBytes({ cert: certPem, key: keyPem })).bytes, 0);
  });

  it('lets no byte of HTTP/2 out to an expired client certificate', async () => {
    const { certPem, keyPem } = await testLeaf(fleet, 'w1', -day);
    assert.equal((await rawBytes({ cert: certPem, key: keyPem })).bytes, 0);
  });

  it('speaks HTTP/2 to a client of the fleet, so that the refusals above mean something', async () => {
    const { certPem, keyPem } = await testLeaf(fleet, 'w1');
    assert.ok((await rawBytes({ cert: certPem, key: keyPem })).bytes > 0);
  });

  it('refuses TLS 1.1', async () => {
    const { certPem, keyPem } = await testLeaf(fleet, 'w1');
    const old = { cert: certPem, key: keyPem, minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'ALL:@SECLEVEL=0' };
    assert.match((await rawBytes(old)).error, /protocol version|EPROTO|unsupported/i);
  });

  it('says unavailable with the cause when the client does not trust the server', async () => {
    const client = await health(fleet, stranger.certificate.pem);
    const error = await failure(client.calls.check({}));
    assert.equal(error.reason, 'unavailable');
    assert.match(error.message, /^the server cannot be reached: .*(self[- ]signed|signature)/);
    client.close();
  });

  it('says unavailable to a client whose certificate is refused', async () => {
    const client = await health(stranger, fleet.certificate.pem);
    assert.equal((await failure(client.calls.check({}))).reason, 'unavailable');
    client.close();
  });

  it('shows a new certificate after a reload, and still refuses clients without one and TLS 1.1', async () => {
    const fresh = await testLeaf(fleet, 'server');
    const earlier = await servedSerial();
    listener.reload({ ...serverTls, certPem: fresh.certPem, keyPem: fresh.keyPem });
    assert.notEqual(await servedSerial(), earlier);
    assert.equal((await rawBytes({})).bytes, 0);
    const { certPem, keyPem } = await testLeaf(fleet, 'w1');
    const old = { cert: certPem, key: keyPem, minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'ALL:@SECLEVEL=0' };
    assert.match((await rawBytes(old)).error, /protocol version|EPROTO|unsupported/i);
    assert.throws(() => listener.reload({ certPem: fresh.certPem, keyPem: fresh.keyPem }));
  });

  it('says who has the address when it cannot listen', async () => {
    const taken = openListener({
      host: '127.0.0.1',
      port: listener.port,
      tls: serverTls,
      log: silentLog,
      register: () => {},
    });
    await assert.rejects(taken, { reason: 'unavailable', message: /cannot listen on 127.0.0.1:\d+.*EADDRINUSE/ });
  });
});

async function health(signer: Signer, rootsPem: string) {
  const { certPem, keyPem } = await testLeaf(signer, 'w1');
  const connection = openConnection({ address: `127.0.0.1:${listener.port}`, rootsPem, certPem, keyPem });
  return { calls: createClient(Health, connection), close: () => connection.close() };
}

async function failure(call: Promise<unknown>): Promise<AppError> {
  const error = await call.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  assert.ok(error instanceof AppError, `expected an AppError, got ${error}`);
  return error;
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
