import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { ClientHttp2Session } from 'node:http2';
import type { Socket } from 'node:net';
import { after, before, describe, it } from 'node:test';
import { create, toBinary } from '@bufbuild/protobuf';
import { status } from '@grpc/grpc-js';
import { until } from '../../common/time/until-for-tests.ts';
import { generateKey } from '../../common/x509/keys.ts';
import { SessionRequestSchema } from '../../proto/gen/kubemtls/v1/agent_pb.js';
import { EnrollNodeRequestSchema } from '../../proto/gen/kubemtls/v1/enrollment_pb.js';
import { AgentMode, NodeRole } from '../../proto/gen/kubemtls/v1/types_pb.js';
import { type Clients, type Credentials, csrOf, startTestServer, type TestServer } from './server-fixture.ts';
import {
  beginCall,
  callAndGoodbye,
  callWith,
  endOf,
  framed,
  silentSocket,
  strangerSession,
  strangerTls,
} from './stranger.ts';

const ENROL = '/kubemtls.v1.EnrollmentService/EnrollNode';
const HEALTH = '/grpc.health.v1.Health/Check';
const SESSION = '/kubemtls.v1.AgentService/Session';
const ISSUE = '/kubemtls.v1.CertificateService/IssueCertificates';
const KIB = 1024;

/** What the server would wait for without limits ends these tests. */
const PATIENCE = { timeout: 15_000 };

let server: TestServer;
let admin: Clients;
let node: Credentials;

before(async () => {
  // the real limits, with less patience and fewer places
  server = await startTestServer('connectionsPerAddress: {bootstrap: 6, fleet: 12}\n', {
    limits: ({ bootstrap, fleet }) => ({
      bootstrap: { ...bootstrap, requestMs: 300, firstCallMs: 1200, handshakeMs: 600, halfOpenPerAddress: 20 },
      fleet: { ...fleet, requestMs: 2000, handshakeMs: 600 },
    }),
  });
  admin = server.connect(await server.admin('root', 'admin'));
  node = await server.enrol('w1', 'worker');
});
after(() => server.close());

/** Each test is another stranger. */
let strangers = 1;
const stranger = () => ({ port: server.bootstrapPort, from: `127.0.1.${++strangers}` });
const member = () => ({ port: server.fleetPort, from: `127.0.2.${++strangers}`, credentials: node });

describe('a request that never becomes whole', () => {
  it('is ended, whatever part of it came', PATIENCE, async () => {
    const session = await strangerSession(stranger());
    const parts = [
      Buffer.alloc(0),
      framed(Buffer.alloc(0), 100),
      framed(Buffer.alloc(30 * KIB), 31 * KIB),
      framed(Buffer.alloc(9)),
    ];
    const endings = parts.map((part) => {
      const stream = beginCall(session, ENROL);
      if (part.length > 0) stream.write(part);
      return endOf(stream);
    });
    for (const { code, text } of await Promise.all(endings)) {
      assert.deepEqual([code, text], [status.DEADLINE_EXCEEDED, 'the request was not complete in time']);
    }
    session.destroy();
  });

  it('is ended though a byte comes now and then', PATIENCE, async () => {
    const session = await strangerSession(stranger());
    const stream = beginCall(session, ENROL);
    stream.write(framed(Buffer.alloc(0), 30 * KIB));
    const drip = setInterval(() => stream.write('x'), 20);
    const { code } = await endOf(stream).finally(() => clearInterval(drip));
    assert.equal(code, status.DEADLINE_EXCEEDED);
    session.destroy();
  });

  it('is ended for a method that there is not, and for what is no gRPC', PATIENCE, async () => {
    const session = await strangerSession(stranger());
    const nowhere = beginCall(session, '/no.Such/Method');
    const noGrpc = beginCall(session, ENROL, { 'content-type': 'text/plain' });
    for (const stream of [nowhere, noGrpc]) stream.write(Buffer.alloc(10_000));
    await Promise.all([endOf(nowhere), endOf(noGrpc)]);
    session.destroy();
  });

  it(
    'is ended in the session of a member too, and between two messages the session may be silent',
    PATIENCE,
    async () => {
      const session = await strangerSession(member());
      const stream = beginCall(session, SESSION);
      const ending = endOf(stream);
      const hello = { message: { case: 'hello' as const, value: { mode: AgentMode.OBSERVE } } };
      stream.write(framed(toBinary(SessionRequestSchema, create(SessionRequestSchema, hello))));
      await until(async () => (await admin.fleet.getNode({ name: 'w1' })).node?.online === true, 'the session is up');
      const startMs = performance.now();
      while (performance.now() - startMs < 3000) await admin.fleet.getNode({ name: 'w1' });
      assert.equal(stream.closed, false, 'longer than a request may take');
      stream.write(framed(Buffer.alloc(700 * KIB), 800 * KIB));
      assert.equal((await ending).code, status.DEADLINE_EXCEEDED);
      session.destroy();
    },
  );
});

describe('a message', () => {
  it('above 32 KiB is refused to a stranger by its length, before it is sent', PATIENCE, async () => {
    const session = await strangerSession(stranger());
    const stream = beginCall(session, ENROL);
    stream.write(framed(Buffer.alloc(0), 32 * KIB + 1));
    const { code, text } = await endOf(stream);
    assert.equal(code, status.RESOURCE_EXHAUSTED);
    assert.match(text, /a message of 32769 bytes: 32768 are the most/);
    session.destroy();
  });

  it('above 64 KiB is refused to a member, but in its session', PATIENCE, async () => {
    const session = await strangerSession(member());
    const unary = beginCall(session, ISSUE);
    unary.write(framed(Buffer.alloc(0), 64 * KIB + 1));
    assert.equal((await endOf(unary)).code, status.RESOURCE_EXHAUSTED);
    const stream = beginCall(session, SESSION);
    stream.write(framed(Buffer.alloc(0), 1024 * KIB + 1));
    assert.equal((await endOf(stream)).code, status.RESOURCE_EXHAUSTED);
    session.destroy();
  });

  it('of nearly a megabyte, as the inventory of a node can be, comes through its session', PATIENCE, async () => {
    const agent = server.connect(node).agent.session();
    agent.write({ message: { case: 'hello', value: { mode: AgentMode.OBSERVE } } });
    const certificates = Array.from({ length: 900 }, (_, index) => ({
      path: `/etc/${index}`,
      commonName: 'x'.repeat(1000),
    }));
    agent.write({ message: { case: 'inventory', value: { certificates } } });
    await until(
      async () => (await admin.fleet.getNode({ name: 'w1' })).certificates.length === 900,
      'the inventory is recorded',
    );
    agent.close();
  });

  it('in pieces that hold far more memory than it has bytes is refused', PATIENCE, async () => {
    const session = await strangerSession(member());
    const stream = beginCall(session, ISSUE);
    const ending = endOf(stream);
    stream.write(framed(Buffer.alloc(0), 60 * KIB));
    const more = () => {
      if (!stream.closed && !stream.destroyed) stream.write('x', more);
    };
    more();
    assert.match((await ending).text, /too many pieces/);
    session.destroy();
  });
});

describe('a connection', () => {
  it('has four calls at once for a stranger', PATIENCE, async () => {
    const session = await strangerSession(stranger());
    assert.equal(session.remoteSettings.maxConcurrentStreams, 4);
    session.destroy();
  });

  it('on which no request became complete is closed, whatever began on it', PATIENCE, async () => {
    const session = await strangerSession(stranger());
    const closed = once(session, 'close');
    const again = setInterval(() => beginCall(session, HEALTH).write('x'), 100);
    await closed.finally(() => clearInterval(again));
  });

  it('on which TLS is done and HTTP/2 never begins is closed', PATIENCE, async () => {
    const socket = strangerTls(stranger());
    await once(socket, 'secureConnect');
    await once(socket.resume(), 'close');
  });

  it('whose caller said goodbye and does not go is closed', PATIENCE, async () => {
    const socket = strangerTls(member());
    await once(socket, 'secureConnect');
    socket.allowHalfOpen = true;
    socket.resume().write(callAndGoodbye(HEALTH));
    await once(socket, 'end'); // the server's half is over
    const closed = new Promise((resolve) => socket.once('close', resolve));
    const still = setInterval(() => socket.write('x'), 50); // whether anybody is there shows in writing only
    await closed.finally(() => clearInterval(still));
  });

  it('beyond those of its address is closed, while another address joins', PATIENCE, async () => {
    const from = stranger();
    const sessions: ClientHttp2Session[] = [];
    for (let index = 0; index < 6; index++) {
      const session = await strangerSession(from);
      sessions.push(session);
      assert.equal((await callWith(session, HEALTH, Buffer.alloc(0))).code, status.OK);
    }
    for (let index = 0; index < 3; index++) await assert.rejects(strangerSession(from));
    assert.equal((await join('10.1.1.1')).code, status.OK);
    sessions[0]?.destroy();
    await until(async () => {
      const session = await strangerSession(from).catch(() => undefined);
      session?.destroy();
      return session !== undefined;
    }, 'a place is free again');
    for (const session of sessions) session.destroy();
  });

  it('that is half-open displaces nobody, and is closed', PATIENCE, async () => {
    const settled = await strangerSession(stranger());
    assert.equal((await callWith(settled, HEALTH, Buffer.alloc(0))).code, status.OK);
    const from = stranger();
    const sockets: Socket[] = Array.from({ length: 200 }, () => silentSocket(from).resume());
    await Promise.all(sockets.map((socket) => once(socket, 'connect')));
    await until(() => sockets.filter((socket) => !socket.closed).length <= 20, 'only twenty of them are kept');
    const last = silentSocket(from).resume();
    await once(last, 'connect');
    last.write(Buffer.from('160301ffff', 'hex')); // a TLS record that never becomes whole
    assert.equal((await join('10.1.1.2')).code, status.OK, 'another address joins');
    assert.equal((await join('10.1.1.3', from.from)).code, status.OK, 'even one with the same address');
    assert.equal((await callWith(settled, HEALTH, Buffer.alloc(0))).code, status.OK);
    await until(() => [...sockets, last].every((socket) => socket.closed), 'all of them are closed');
    settled.destroy();
  });

  it('is told of in the log once, not each time', () => {
    const told = server.logged.filter(([message]) => message.startsWith('connections were closed'));
    assert.equal(told.length, 1);
  });
});

/** A node enrols from an address of its own. */
async function join(address: string, from = `127.0.3.${++strangers}`) {
  const nodeName = `node-${++strangers}`;
  const { token } = await admin.tokens.createToken({
    role: NodeRole.WORKER,
    nodeNames: [nodeName],
    addresses: [address],
  });
  const session = await strangerSession({ port: server.bootstrapPort, from });
  const request = create(EnrollNodeRequestSchema, { nodeName, csr: csrOf(await generateKey('ecdsa-p256')) });
  const headers = { authorization: `Bearer ${token}` };
  const ending = await callWith(session, ENROL, toBinary(EnrollNodeRequestSchema, request), headers);
  session.destroy();
  return ending;
}
