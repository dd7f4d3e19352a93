import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, describe, it, type TestContext } from 'node:test';
import { AppError } from '../../common/errors/app-error.ts';
import { silentLog } from '../../common/log/log.ts';
import { until } from '../../common/time/until-for-tests.ts';
import { askDaemon } from './control-client.ts';
import { type ControlHandlers, serveControl } from './control-server.ts';

const parent = mkdtempSync(join(tmpdir(), 'kube-mtls-control-'));
after(() => rmSync(parent, { recursive: true }));

const newSocket = () => join(mkdtempSync(join(parent, 'x-')), 'run', 'control.sock');

/** A daemon that listens. */
async function begin(test: TestContext, handlers: ControlHandlers, socketPath = newSocket()) {
  const stop = new AbortController();
  const serving = serveControl({ socketPath, handlers, log: silentLog }, stop.signal);
  test.after(async () => {
    stop.abort();
    await serving;
  });
  await until(() => statSync(socketPath, { throwIfNoEntry: false })?.isSocket() === true, 'the socket');
  return { socketPath, stop, serving };
}

/** The status of an answer to something that the client would not send. */
function statusOf(socketPath: string, method: string, path: string): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    const call = request({ socketPath, method, path }, (response) => {
      response.resume();
      response.on('end', () => resolve(response.statusCode));
    });
    call.on('error', reject);
    call.end();
  });
}

describe('control', () => {
  it('carries an answer, also none at all', async (test) => {
    const { socketPath } = await begin(test, {
      status: async () => ({ mode: 'observe' }),
      nothing: async () => undefined,
    });
    assert.deepEqual(await askDaemon(socketPath, 'status'), { mode: 'observe' });
    assert.equal(await askDaemon(socketPath, 'nothing'), null);
  });

  it('listens where only root can come, also over the socket of a daemon that was killed', async (test) => {
    const left = newSocket();
    mkdirSync(dirname(left), { mode: 0o755 });
    writeFileSync(left, '');
    const { socketPath } = await begin(test, { status: async () => 'alive' }, left);
    await until(() => (statSync(socketPath).mode & 0o777) === 0o600, 'the mode of the socket');
    assert.equal(statSync(dirname(socketPath)).mode & 0o777, 0o700);
    assert.equal(await askDaemon(socketPath, 'status'), 'alive');
  });

  it('tells why something failed', async (test) => {
    const { socketPath } = await begin(test, {
      apply: async () => {
        throw new AppError('policy-refused', 'the rollout is paused');
      },
    });
    await assert.rejects(askDaemon(socketPath, 'apply'), { reason: 'unavailable', message: 'the rollout is paused' });
  });

  it('survives an answer that is no JSON', async (test) => {
    const circle: { self?: unknown } = {};
    circle.self = circle;
    const { socketPath } = await begin(test, {
      circle: async () => circle,
      big: async () => 1n,
      status: async () => 1,
    });
    await assert.rejects(askDaemon(socketPath, 'circle'), { message: /circular/i });
    await assert.rejects(askDaemon(socketPath, 'big'), { message: /BigInt/ });
    assert.equal(await askDaemon(socketPath, 'status'), 1);
  });

  it('knows only its handlers, and only POST', async (test) => {
    const { socketPath } = await begin(test, { status: async () => 1 });
    for (const name of ['constructor', '__proto__', 'toString', '', '../status', 'status?x']) {
      await assert.rejects(askDaemon(socketPath, name), { message: /the daemon knows no/ }, name);
    }
    assert.equal(await statusOf(socketPath, 'GET', '/status'), 404);
    assert.equal(await statusOf(socketPath, 'POST', '/status'), 200);
  });

  it('tells a handler that whoever asked is gone', async (test) => {
    let gone: AbortSignal | undefined;
    const { socketPath } = await begin(test, {
      apply: (signal) => {
        gone = signal;
        return new Promise(() => {});
      },
    });
    const call = request({ socketPath, method: 'POST', path: '/apply' });
    call.on('error', () => {}); // it hangs up
    call.end();
    await until(() => gone !== undefined, 'the signal of the call');
    call.destroy();
    await until(() => gone?.aborted === true, 'the caller to be missed');
  });

  it('ends when the signal fires, whoever waits still, and takes its socket away', async (test) => {
    let asked = false;
    const { socketPath, stop, serving } = await begin(test, {
      apply: () => {
        asked = true;
        return new Promise(() => {});
      },
    });
    const waiting = assert.rejects(askDaemon(socketPath, 'apply'), { reason: 'unavailable' });
    await until(() => asked, 'the question');
    stop.abort();
    await serving;
    await waiting;
    assert.equal(statSync(socketPath, { throwIfNoEntry: false }), undefined);
    await assert.rejects(askDaemon(socketPath, 'status'), { message: /does not answer.*systemctl status/ });
  });

  it('takes what another program answers for no answer', async (test) => {
    const socketPath = join(mkdtempSync(join(parent, 'x-')), 'other.sock');
    const server = createServer((socket) => socket.end('HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello'));
    await new Promise<void>((resolve) => server.listen(socketPath, resolve));
    test.after(() => server.close());
    await assert.rejects(askDaemon(socketPath, 'status'), { reason: 'unavailable', message: /without a word/ });
  });
});
