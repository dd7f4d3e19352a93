/** A cluster of one real etcd member on this machine, in every way that it can speak. */
import { type ChildProcess, spawn } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { type AddressInfo, createServer } from 'node:net';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import type { DetectedEtcd } from '../../agent/detect/detected.ts';
import { detectedEtcd } from '../../agent/verify/detected-for-tests.ts';
import { folderOf, type TestLeaf } from '../../agent/verify/pki-for-tests.ts';
import { messageOf } from '../../common/errors/app-error.ts';
import { BASE } from '../lab/places.ts';

/** A real etcd 3.4: the one of the lab's base image, unless told otherwise. */
const ETCD = process.env.KUBE_MTLS_ETCD ?? join(BASE, 'usr/bin/etcd');
/** Somebody else may take a port between the moment that it was free and etcd's start. */
const MOST_STARTS = 5;
/** A running member. */
export interface Member {
  folder: string;
  detected: DetectedEtcd;
  clientUrl: string;
}

/** What it speaks, and whom it lets in. */
export type StartMode = 'plaintext' | 'tls-only' | 'mutual' | 'garbage-ca' | 'mutual-and-plaintext';

/** Starts a cluster of one member; it ends with the test. Ports that somebody else took meanwhile are exchanged for others. */
export async function startEtcd(...given: Parameters<typeof tryEtcd>): Promise<Member> {
  for (let start = 1; ; start++) {
    try {
      return await tryEtcd(...given);
    } catch (error) {
      if (start === MOST_STARTS || !/address already in use/.test(messageOf(error))) throw error;
    }
  }
}

async function tryEtcd(
  test: TestContext,
  mode: StartMode,
  leaves: Record<string, TestLeaf>,
  rootsPem: string,
): Promise<Member> {
  const folder = await folderOf(test, leaves);
  const caFile = join(folder, 'client-ca.crt');
  await writeFile(caFile, mode === 'garbage-ca' ? 'garbage' : rootsPem);
  await writeFile(join(folder, 'peer-ca.crt'), rootsPem);
  const scheme = mode === 'plaintext' ? 'http' : 'https';
  const clientUrl = `${scheme}://127.0.0.1:${await freePort()}`;
  const peerUrl = `${scheme}://127.0.0.1:${await freePort()}`;
  const settings: Record<string, string> = {
    name: 'cp1',
    'data-dir': join(folder, 'data'),
    // etcd serves both on one port when it is told both
    'listen-client-urls':
      mode === 'mutual-and-plaintext' ? `${clientUrl},${clientUrl.replace('https', 'http')}` : clientUrl,
    'advertise-client-urls': clientUrl,
    'listen-peer-urls': peerUrl,
    'initial-advertise-peer-urls': peerUrl,
    'initial-cluster': `cp1=${peerUrl}`,
    ...(mode === 'plaintext'
      ? {}
      : {
          'cert-file': join(folder, 'server.crt'),
          'key-file': join(folder, 'server.key'),
          'peer-cert-file': join(folder, 'peer.crt'),
          'peer-key-file': join(folder, 'peer.key'),
          'peer-trusted-ca-file': join(folder, 'peer-ca.crt'),
          'peer-client-cert-auth': 'true',
        }),
    ...(mode !== 'plaintext' && mode !== 'tls-only' ? { 'trusted-ca-file': caFile, 'client-cert-auth': 'true' } : {}),
  };
  const args = Object.entries(settings).map(([name, value]) => `--${name}=${value}`);
  const child = spawn(ETCD, args, { stdio: ['ignore', 'ignore', 'pipe'] });
  test.after(() => stop(child));
  await ready(child);
  return { folder, detected: detectedEtcd({ ...settings, 'listen-client-urls': clientUrl }), clientUrl };
}

/** Waits for etcd's own word. */
function ready(child: ChildProcess): Promise<void> {
  return new Promise((resolve, reject) => {
    let log = '';
    child.on('error', reject);
    child.on('exit', (code) => reject(new Error(`etcd ended with ${code}: ${log.slice(-2000)}`)));
    child.stderr?.on('data', (chunk: Buffer) => {
      log += chunk.toString();
      if (/ready to serve client requests/.test(log)) resolve();
    });
  });
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null) return;
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  child.kill('SIGTERM');
  await Promise.race([ended, delay(5000).then(() => child.kill('SIGKILL'))]);
  await ended;
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo; // a TCP server has an address with a port
  await new Promise((resolve) => server.close(resolve));
  return port;
}
