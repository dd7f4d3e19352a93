import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type ClientHttp2Session, connect } from 'node:http2';
import { connect as connectTcp } from 'node:net';
import { after, before, describe, it } from 'node:test';
import { connect as connectTls } from 'node:tls';
import type { LogFields } from '../log/fields.ts';
import { silentLog } from '../log/log.ts';
import { addHealth } from './health.ts';
import { type Listener, openListener } from './listener.ts';
import { defaultLimits } from './listener-limits.ts';
import { testAuthority, testLeaf } from './tls-for-tests.ts';

const KIB = 1024;
const closed: LogFields[] = [];
let listener: Listener;

before(async () => {
  const tls = await testLeaf(await testAuthority('fleet'), 'server');
  const log = {
    ...silentLog,
    debug: (message: string, fields: LogFields = {}) => {
      if (message === 'connection closed') closed.push(fields);
    },
  };
  listener = await openListener({
    ...{ host: '127.0.0.1', port: 0, tls, log, register: (server) => addHealth(server, [], () => true) },
    limits: { ...defaultLimits, heldBytes: 256 * KIB, handshakeMs: 1_000 },
  });
});
after(() => listener.stop(0));

/** An HTTP/2 connection from an address of its own. */
async function session(localAddress: string): Promise<ClientHttp2Session> {
  const createConnection = () =>
    connectTls({
      socket: connectTcp({ host: '127.0.0.1', port: listener.port, localAddress }),
      rejectUnauthorized: false,
      ALPNProtocols: ['h2'],
    });
  const opened = connect('https://127.0.0.1', { createConnection });
  opened.on('error', () => {}); // that it is closed is what the test waits for
  await once(opened, 'remoteSettings');
  return opened;
}

/** Begins a request, of whose message only so much comes. */
function beginMessage(of: ClientHttp2Session, bytes: number): void {
  const headers = { ':method': 'POST', ':path': '/grpc.health.v1.Health/Check', 'content-type': 'application/grpc' };
  const stream = of.request({ ...headers, te: 'trailers' }, { endStream: false });
  stream.on('error', () => {});
  const prefix = Buffer.alloc(5);
  prefix.writeUInt32BE(900 * KIB, 1);
  stream.write(Buffer.concat([prefix, Buffer.alloc(bytes)]));
}

describe('the guard of a listener', () => {
  it('closes a connection whose handshake takes longer than it may, before TLS itself does', async () => {
    const socket = connectTcp({ host: '127.0.0.1', port: listener.port, localAddress: '127.0.4.1' });
    socket.on('error', () => {});
    await once(socket.resume(), 'close');
    const { detail } = closed.find(({ address }) => address === '127.0.4.1') ?? {};
    assert.equal(detail, 'the handshake took too long');
  });

  it('closes who holds most when all together hold too much, not who came last', async () => {
    const greedy = await session('127.0.4.2');
    const modest = await session('127.0.4.3');
    const first = Promise.race([greedy, modest].map((each) => once(each, 'close').then(() => each)));
    beginMessage(greedy, 150 * KIB);
    beginMessage(modest, 120 * KIB);
    const gone = await first;
    modest.destroy();
    greedy.destroy();
    assert.equal(gone, greedy);
    assert.ok(closed.every(({ address }) => address !== '127.0.4.3'));
  });
});
