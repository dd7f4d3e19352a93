import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it, type TestContext } from 'node:test';
import { layoutBelow } from '../layout.ts';
import { detectedEtcd } from './detected-for-tests.ts';
import { localEtcdCluster, updateLocalMember } from './local-etcd.ts';

const parent = mkdtempSync(join(tmpdir(), 'kube-mtls-etcd-'));
after(() => rmSync(parent, { recursive: true }));

const layout = layoutBelow(parent); // no certificates of ours
const signal = new AbortController().signal;
const update = { memberId: 'a1', before: ['http://10.0.0.1:2380'], after: ['https://10.0.0.1:2380'] };

/** Members of a cluster that answer in plaintext at their own ports; what they were asked, by member. */
async function cluster(test: TestContext, ...ids: string[]) {
  const asked: string[] = [];
  const withoutQuorum = new Set<string>(); // such a member lists the members still
  let peerUrls = update.before;
  const urls = new Map<string, string>();
  for (const id of ids) {
    const server = createServer((request, response) => {
      const chunks: Buffer[] = [];
      request.on('data', (chunk: Buffer) => chunks.push(chunk));
      request.on('end', () => {
        const path = request.url ?? '';
        asked.push(`${id} ${path.split('/').at(-1)}`);
        if (path.endsWith('/update') && withoutQuorum.has(id)) {
          response.writeHead(503).end('{}');
          return;
        }
        if (path.endsWith('/update')) peerUrls = JSON.parse(Buffer.concat(chunks).toString()).peerURLs;
        const members = ids.map((each) => ({
          ...{ ID: BigInt(`0x${each}`).toString(), name: each, clientURLs: [urls.get(each)] },
          peerURLs: each === 'a1' ? peerUrls : [`http://${each}:2380`],
        }));
        const header = { cluster_id: '1', member_id: BigInt(`0x${id}`).toString() };
        response.end(JSON.stringify({ header, members }));
      });
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    test.after(() => server.close());
    urls.set(id, `http://127.0.0.1:${(server.address() as AddressInfo).port}`); // a TCP server has a port
  }
  const url = (id: string) => urls.get(id) ?? assert.fail();
  return { asked, withoutQuorum, url, peerUrls: () => peerUrls };
}

describe('updateLocalMember', () => {
  it('asks the local member, once it does not know the URLs yet', async (test) => {
    const { url, asked, peerUrls } = await cluster(test, 'a1', 'a2');
    const detect = async () => detectedEtcd({ 'listen-client-urls': url('a1') });
    await updateLocalMember(layout, detect, update, 'forward', signal);
    assert.deepEqual(peerUrls(), update.after);
    asked.length = 0;
    await updateLocalMember(layout, detect, update, 'forward', signal);
    assert.ok(!asked.some((call) => call.endsWith('update')), asked.join());
    await updateLocalMember(layout, detect, update, 'back', signal);
    assert.deepEqual(peerUrls(), update.before);
  });

  it('asks where it listened before, when it does not answer where it shall listen', async (test) => {
    const { url, peerUrls } = await cluster(test, 'a1');
    const before = detectedEtcd({ 'listen-client-urls': url('a1') });
    const { settings } = detectedEtcd({ 'listen-client-urls': 'http://127.0.0.1:1' });
    await updateLocalMember(
      layout,
      async () => ({ ...before, effectiveSettings: settings }),
      update,
      'forward',
      signal,
    );
    assert.deepEqual(peerUrls(), update.after);
  });

  it('asks in plaintext where the file says https already, and the process that runs has not read that', async (test) => {
    const { url, peerUrls } = await cluster(test, 'a1');
    const edited = url('a1').replace('http:', 'https:');
    await updateLocalMember(
      layout,
      async () => detectedEtcd({ 'listen-client-urls': edited }),
      update,
      'forward',
      signal,
    );
    assert.deepEqual(peerUrls(), update.after);
  });

  it('is not kept from it by certificates of one address that cannot be read', async (test) => {
    const { url, peerUrls } = await cluster(test, 'a1');
    const before = detectedEtcd({ 'listen-client-urls': url('a1') });
    const { settings } = detectedEtcd({ 'listen-client-urls': 'https://127.0.0.1:1', 'cert-file': '/nowhere' });
    await updateLocalMember(layout, async () => ({ ...before, effectiveSettings: settings }), update, 'back', signal);
    assert.deepEqual(peerUrls(), update.before);
  });

  it('asks the others when the local member has no quorum', async (test) => {
    const { url, withoutQuorum, asked, peerUrls } = await cluster(test, 'a1', 'a2');
    withoutQuorum.add('a1');
    const detect = async () => detectedEtcd({ 'listen-client-urls': url('a1') });
    await updateLocalMember(layout, detect, update, 'forward', signal);
    assert.deepEqual(peerUrls(), update.after);
    assert.deepEqual(
      asked.filter((call) => call.endsWith('update')),
      ['a1 update', 'a2 update'],
    );
  });

  it('rejects with the last failure when nobody can be asked', async () => {
    const detect = async () => detectedEtcd({ 'listen-client-urls': 'http://127.0.0.1:1' });
    await assert.rejects(updateLocalMember(layout, detect, update, 'back', signal), { reason: 'unavailable' });
    const gone = async () => undefined;
    await assert.rejects(updateLocalMember(layout, gone, update, 'back', signal), { message: /no etcd unit/ });
  });
});

describe('localEtcdCluster', () => {
  it('tells the cluster, or undefined when the member does not answer', async (test) => {
    const { url } = await cluster(test, 'a1', 'a2');
    const found = await localEtcdCluster(layout, detectedEtcd({ 'listen-client-urls': url('a1') }), signal);
    assert.deepEqual([found?.memberId, found?.members.map(({ id }) => id)], ['a1', ['a1', 'a2']]);
    const silent = detectedEtcd({ 'listen-client-urls': 'http://127.0.0.1:1' });
    assert.equal(await localEtcdCluster(layout, silent, signal), undefined);
    const unix = detectedEtcd({ 'listen-client-urls': 'unix:///run/etcd' });
    assert.equal(await localEtcdCluster(layout, unix, signal), undefined);
  });
});
