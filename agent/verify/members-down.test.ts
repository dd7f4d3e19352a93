import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { type AddressInfo, createServer as createTcpServer, type Server } from 'node:net';
import { describe, it, type TestContext } from 'node:test';
import { layoutBelow } from '../layout.ts';
import { detectedApiserver, detectedEtcd } from './detected-for-tests.ts';
import { membersDown } from './members-down.ts';

const layout = layoutBelow('/nonexistent');
const { signal } = new AbortController();

describe('membersDown', () => {
  it('is content when every other member listens on one of its peer URLs', async (test) => {
    const peer = await listening(test, createTcpServer());
    const member = { name: 'm2', peerURLs: ['http://127.0.0.1:1', `https://127.0.0.1:${peer}`] };
    assert.equal(await ask(await localMember(test, [member])), undefined);
  });

  it('names members that do not listen, and those that were added and never started', async (test) => {
    const members = [{ name: 'm2', peerURLs: ['http://127.0.0.1:1'] }, { peerURLs: ['http://127.0.0.1:1'] }];
    assert.match((await ask(await localMember(test, members))) ?? '', /^etcd member m2, b does not listen on its peer/);
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

function ask(url: string): Promise<string | undefined> {
  const etcd = { detected: detectedEtcd({ 'listen-client-urls': url }), takeUp: 'restart' as const };
  return membersDown(layout, [etcd], signal);
}

/** An etcd that lists itself and these, with the identifiers a, b, …; its client URL. */
async function localMember(test: TestContext, others: { name?: string; peerURLs: string[] }[]): Promise<string> {
  const all = [{ name: 'm1', peerURLs: ['http://127.0.0.1:1'] }, ...others];
  const members = all.map((member, at) => ({ ID: String([9, 10, 11][at]), ...member, clientURLs: [] }));
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
