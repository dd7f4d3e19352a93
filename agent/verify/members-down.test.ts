import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo, Server } from 'node:net';
import { describe, it, type TestContext } from 'node:test';
import { layoutBelow } from '../layout.ts';
import { detectedApiserver, detectedEtcd } from './detected-for-tests.ts';
import { membersDown } from './members-down.ts';
import { type Probe, type ProbeOutcome, probe } from './probe.ts';

const layout = layoutBelow('/nonexistent');
const { signal } = new AbortController();

/** How the other member is, by its answers; its client and peer URLs have addresses that are no loopback of this host. */
type Manner = 'healthy' | 'no leader' | 'alarm' | 'refuses' | 'silent';
const asked = (client: Manner, peer: 'refuses' | 'silent' = 'silent'): Probe => {
  const refused: ProbeOutcome = { kind: 'refused', by: 'tls-alert', detail: 'bad certificate', served: undefined };
  const silent: ProbeOutcome = { kind: 'unreachable', detail: 'no answer within 5000 ms' };
  const answer = (status: number, body: object): ProbeOutcome => {
    return { kind: 'answered', status, body: JSON.stringify(body), served: undefined };
  };
  return async (request) => {
    if (request.host === '127.0.0.1') return probe(request);
    if (request.port === 2380) return peer === 'refuses' ? refused : silent;
    if (client === 'refuses') return refused;
    if (client === 'silent') return silent;
    if (request.path === '/health')
      return answer(client === 'healthy' ? 200 : 503, { health: `${client === 'healthy'}` });
    return answer(200, { leader: client === 'alarm' ? '7' : '0' });
  };
};
const other = { name: 'm2', peerURLs: ['http://10.0.0.2:2380'], clientURLs: ['http://10.0.0.2:2379'] };

describe('membersDown', () => {
  const up: [Manner, 'refuses' | 'silent'][] = [
    ['healthy', 'silent'],
    ['alarm', 'silent'],
    ['refuses', 'refuses'],
    ['silent', 'refuses'],
  ];
  for (const [client, peer] of up) {
    it(`is content with a member that is ${client} to clients and ${peer} to peers`, async (test) => {
      assert.equal(await ask(await localMember(test, [other]), asked(client, peer)), undefined);
    });
  }

  for (const [client, peer] of [
    ['no leader', 'refuses'],
    ['silent', 'silent'],
    ['refuses', 'silent'],
  ] as const) {
    it(`names a member that is ${client} to clients and ${peer} to peers`, async (test) => {
      const answer = await ask(await localMember(test, [other]), asked(client, peer));
      assert.match(answer ?? '', /^etcd member m2 does not answer that it is healthy/);
    });
  }

  it('does not take its own answer at a loopback URL for that of the other, nor an open port for an answer', async (test) => {
    const url = await localMember(test, [{ ...other, clientURLs: ['http://127.0.0.1:1', 'http://localhost:2379'] }]);
    assert.match((await ask(url, asked('healthy'))) ?? '', /member m2/);
  });

  it('names those that were added and never started', async (test) => {
    const members = [{ peerURLs: ['http://10.0.0.3:2380'] }];
    assert.match(
      (await ask(await localMember(test, members), asked('healthy'))) ?? '',
      /^etcd member a does not answer/,
    );
  });

  it('asks nobody for a member that is alone, is not restarted, or is away already', async (test) => {
    assert.equal(await ask(await localMember(test, [])), undefined);
    assert.equal(await ask('http://127.0.0.1:1'), undefined);
    const url = await localMember(test, [{ name: 'm2', peerURLs: ['http://127.0.0.1:1'] }]);
    const live = { detected: detectedEtcd({ 'listen-client-urls': url }), takeUp: 'live' as const };
    const apiserver = { detected: detectedApiserver({}), takeUp: 'restart' as const };
    assert.equal(await membersDown(layout, [live, apiserver], signal), undefined);
  });
});

function ask(url: string, by: Probe = probe): Promise<string | undefined> {
  const etcd = { detected: detectedEtcd({ 'listen-client-urls': url }), takeUp: 'restart' as const };
  return membersDown(layout, [etcd], signal, by);
}

/** An etcd that lists itself and these, with the identifiers a, b, …; its client URL. */
async function localMember(
  test: TestContext,
  others: { name?: string; peerURLs: string[]; clientURLs?: string[] }[],
): Promise<string> {
  const all = [{ name: 'm1', peerURLs: ['http://127.0.0.1:1'] }, ...others];
  const members = all.map((member, at) => ({ ID: String([9, 10, 11][at]), clientURLs: [], ...member }));
  const answer = JSON.stringify({ header: { cluster_id: '1', member_id: '9' }, members });
  return `http://127.0.0.1:${await listening(
    test,
    createServer((_, response) => void response.end(answer)),
  )}`;
}

async function listening(test: TestContext, server: Server): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  test.after(() => server.close());
  return (server.address() as AddressInfo).port; // a TCP server has a port
}
