import assert from 'node:assert/strict';
import { once } from 'node:events';
import { after, before, describe, it } from 'node:test';
import { status } from '@grpc/grpc-js';
import { Health, HealthCheckResponse_ServingStatus as Serving } from '../../proto/gen/grpc/health/v1/health_pb.js';
import { AgentService } from '../../proto/gen/kubemtls/v1/agent_pb.js';
import { AppError } from '../errors/app-error.ts';
import type { LogFields } from '../log/fields.ts';
import { silentLog } from '../log/log.ts';
import type { Signer } from '../x509/sign.ts';
import { createClient } from './client.ts';
import { openConnection, type Transport } from './connection.ts';
import { addService, type Handlers } from './handlers.ts';
import { addHealth } from './health.ts';
import { type Listener, openListener } from './listener.ts';
import { addReflection } from './reflection.ts';
import { testAuthority, testLeaf } from './tls-for-tests.ts';

const logged: [string, LogFields][] = [];
let fleet: Signer;
let listener: Listener;
let serverTls: { certPem: string; keyPem: string; clientRootsPem: string };
const asked: string[] = [];

before(async () => {
  fleet = await testAuthority('fleet');
  const { certPem, keyPem } = await testLeaf(fleet, 'server');
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
    if (request.reason.startsWith('refuse ')) throw new AppError('policy-refused', request.reason);
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

  it('lives on when it cuts a refusal through a character', async () => {
    const client = await agent(fleet);
    const what = `${'\u{1f600}'.repeat(1200)}`;
    const error = await failure(client.calls.acquireRestartPermit({ reason: `refuse ${what}` }));
    assert.equal(error.reason, 'policy-refused');
    assert.ok(error.message.startsWith(`refuse ${what.slice(0, 1900)}`));
    assert.equal((await client.calls.acquireRestartPermit({ reason: 'again' })).permitId, 'for again');
    client.close();
  });

  it('refuses a time that no calendar has, in a call and in a stream', async () => {
    const client = await agent(fleet);
    const never = { seconds: 10n ** 13n, nanos: 0 };
    assert.equal((await failure(client.calls.checkPeers({ since: never }))).reason, 'invalid-request');
    for (const nodeTime of [never, { seconds: -(10n ** 13n), nanos: 0 }, { seconds: 0n, nanos: -1 }]) {
      const stream = client.calls.session();
      stream.write({ message: { case: 'heartbeat', value: { nodeTime } } });
      const { reason, message } = await failure(drain(stream));
      assert.deepEqual([reason, message], ['invalid-request', 'the request has a time outside the years 1 to 9999']);
    }
    assert.deepEqual(await client.calls.checkPeers({ since: { seconds: 253_402_300_799n, nanos: 999_999_999 } }), {
      $typeName: 'kubemtls.v1.CheckPeersResponse',
    });
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

function note(message: string, fields: LogFields = {}): void {
  logged.push([message, fields]);
}

async function agent(signer: Signer) {
  const connection = openConnection(await transport(signer));
  return { calls: createClient(AgentService, connection), close: () => connection.close() };
}

async function transport(signer: Signer): Promise<Transport> {
  const { certPem, keyPem } = await testLeaf(signer, 'w1');
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
