import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { until } from '../../common/time/until-for-tests.ts';
import { endingSlowStop, seeServing } from './end-slow-stop.ts';
import { type FakeConnection, FakeServer, QUIET_WATCH, turns } from './fake-server.ts';

const parent = mkdtempSync(join(tmpdir(), 'kube-mtls-slow-'));
after(() => rmSync(parent, { recursive: true }));

const CLOSES_AT_MS = 1000;

/** A server that closes its port after a second and ends by itself a minute later. */
function slowServer(): FakeServer {
  const server = new FakeServer(parent);
  server.at(CLOSES_AT_MS, () => server.listen(false));
  server.at(CLOSES_AT_MS + 60_000, () => server.die());
  return server;
}

/** Waits for its end as systemctl does. */
async function stop(server: FakeServer, mayEnd: () => boolean = () => true, work = () => server.ended) {
  const serving = await seeServing(server.deps, server.pid);
  assert.ok(serving);
  await endingSlowStop(server.deps, 'kube-apiserver', [serving], async () => mayEnd(), work);
  return server.signals;
}

describe('endingSlowStop', () => {
  it('tells it a second time, once its port has been closed for 400 ms and nothing but watches is left', async () => {
    assert.deepEqual(await stop(slowServer()), [['TERM', CLOSES_AT_MS + 400]]);
  });

  it('ends it by force when it does not obey within two seconds', async () => {
    const server = slowServer();
    server.obeys = ['KILL'];
    assert.deepEqual(await stop(server), [
      ['TERM', CLOSES_AT_MS + 400],
      ['KILL', CLOSES_AT_MS + 2400],
    ]);
  });

  for (const stepMs of [3_600_000, -3_600_000]) {
    it(`tells it, and ends it, in the same times when the wall clock is set by ${stepMs} ms`, async () => {
      const server = slowServer();
      server.obeys = ['KILL'];
      for (const atMs of [CLOSES_AT_MS + 200, CLOSES_AT_MS + 1000]) {
        server.at(atMs, () => {
          server.aheadMs += stepMs;
        });
      }
      assert.deepEqual(await stop(server), [
        ['TERM', CLOSES_AT_MS + 400],
        ['KILL', CLOSES_AT_MS + 2400],
      ]);
    });
  }

  it('lets it serve for as long as its port is open, as --shutdown-delay-duration wants it', async () => {
    const server = new FakeServer(parent);
    server.at(70_000, () => server.listen(false));
    server.at(130_000, () => server.die());
    assert.deepEqual(await stop(server), [['TERM', 70_400]]);
  });

  it('sends nothing to one that ends by itself', async () => {
    const server = new FakeServer(parent);
    server.at(1000, () => server.listen(false));
    server.at(1200, () => server.die());
    assert.deepEqual(await stop(server), []);
  });

  it('sends nothing to another process that has got its number', async () => {
    const server = slowServer();
    server.at(1200, () => server.replace());
    server.at(3000, () => server.die());
    const work = async () => {
      await until(() => server.nowMs >= 1200, '1200 ms of its clock');
      await turns(500);
    };
    assert.deepEqual(await stop(server, () => true, work), []);
  });

  it('sends nothing when whatever runs it is not stopping it', async () => {
    const server = slowServer();
    let asked = 0;
    const work = () => until(() => asked > 0, 'the first question');
    assert.deepEqual(await stop(server, () => asked++ < 0, work), []);
  });

  it('says so and sends nothing where ss tells no ages', async () => {
    const server = slowServer();
    server.hasSs = false;
    const work = () => until(() => server.warnings.length > 0, 'a warning');
    assert.deepEqual(await stop(server, () => true, work), []);
    assert.match(server.warnings.join(), /ss of iproute2/);
  });

  it('passes on what the work throws, and sends nothing then', async () => {
    const server = slowServer();
    const failing = async () => {
      throw new Error('systemd is away');
    };
    await assert.rejects(
      stop(server, () => true, failing),
      /systemd is away/,
    );
    assert.deepEqual(server.signals, []);
  });

  const client = (sentAtMs: number, receivedAtMs: number, more: Partial<FakeConnection> = {}): FakeConnection => ({
    ...QUIET_WATCH,
    ...{ sentAtMs, receivedAtMs, ...more },
  });
  const dialled = (sentAtMs: number, receivedAtMs: number, more: Partial<FakeConnection> = {}): FakeConnection => ({
    ...{ local: '10.0.0.1:50000', peer: '10.0.0.9:443', sentAtMs, receivedAtMs, ...more },
  });
  const rows: [title: string, connections: FakeConnection[], endedAtMs: number][] = [
    ['an answer that was sent 200 ms after the port was closed', [client(1200, 900)], 1600],
    ['a client that was heard 300 ms after the port was closed', [client(900, 1300)], 1700],
    ['a watch that was never quiet, until ten seconds have passed', [client(1e6, 0)], 11_000],
    ['what nobody has read yet, until ten seconds have passed', [client(0, 0, { unread: 1 })], 11_000],
    ['a webhook that owes an answer, until ten seconds have passed', [dialled(950, 900)], 11_000],
    [
      'a webhook that was dialled just before, though something came from it, until ten seconds have passed',
      [dialled(950, 951, { segments: 4 })],
      11_000,
    ],
    ['no webhook that was dialled just before and has answered', [dialled(550, 800, { segments: 4 })], 1400],
    ['an etcd that owes an answer, for a second', [dialled(950, 900, { peer: '10.0.0.9:4001' })], 2000],
    [
      'no etcd to which it speaks seldom, wherever that listens',
      [
        dialled(950, 951, { segments: 4, peer: '10.0.0.9:4001' }),
        dialled(950, 951, { segments: 4, peer: '[::1]:2379' }),
      ],
      1400,
    ],
    ['no webhook that was asked nothing since it answered', [dialled(100, 100)], 1400],
    ['no webhook that has been silent for long', [dialled(-9000, -9500)], 1400],
    ['no client that is gone and takes nothing', [client(-3000, -9000, { unsent: 5 })], 1400],
  ];
  for (const [title, connections, endedAtMs] of rows) {
    it(`waits for ${title}`, async () => {
      const server = slowServer();
      server.enter('a'.repeat(64), ['kube-apiserver', '--etcd-servers="https://10.0.0.9:4001",10.0.0.8:4001']);
      server.connections = [QUIET_WATCH, ...connections];
      assert.deepEqual(await stop(server), [['TERM', endedAtMs]]);
    });
  }

  it('never cuts an answer that a client is taking, however long that lasts', async () => {
    const server = slowServer();
    const transfer = client(0, 0, { unsent: 9 });
    server.connections = [transfer];
    for (let atMs = 0; atMs <= 30_000; atMs += 100) server.at(atMs, () => Object.assign(transfer, { sentAtMs: atMs }));
    server.at(30_000, () => Object.assign(transfer, { unsent: 0 }));
    assert.deepEqual(await stop(server), [['TERM', 30_000]]);
  });

  it('waits while it computes', async () => {
    const server = slowServer();
    for (let atMs = 100; atMs <= 5000; atMs += 100) server.at(atMs, () => server.compute(90));
    assert.deepEqual(await stop(server), [['TERM', 5100]]);
  });

  it('does not count that it waits for itself', async () => {
    const server = slowServer();
    server.connections = [
      client(100, 100, { local: '[::ffff:127.0.0.1]:6443', peer: '[::ffff:127.0.0.1]:50000' }),
      { local: '127.0.0.1:50000', peer: '127.0.0.1:6443', sentAtMs: 100, receivedAtMs: 50 },
    ];
    assert.deepEqual(await stop(server), [['TERM', 1400]]);
  });
});

describe('seeServing', () => {
  it('passes over a process that does not listen, though another does on the same port', async () => {
    const server = new FakeServer(parent);
    server.listen(false);
    assert.equal(await seeServing(server.deps, server.pid), undefined);
    assert.equal(await seeServing(server.deps, 1), undefined);
  });
});
