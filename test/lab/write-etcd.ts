/**
 * A program of its own: puts a key into an etcd cluster every 100 ms, at whichever member takes it, in plaintext or over mutual TLS as
 * the members speak it at that moment, and asks each member for its leader. When its input ends it reads every acknowledged key back
 * and prints what it found, as JSON.
 *
 *     node write-etcd.ts NAME=HOST:PORT=ROOT …      ROOT: root of the member's host, for the certificates of the agent there
 */
import { readFileSync } from 'node:fs';
import { request as httpRequest } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { join } from 'node:path';

/** What the program prints. */
export interface WriterReport {
  /** Keys tried, acknowledged, and of the acknowledged those that were not there, or were another, at the end. */
  tried: number;
  acknowledged: number;
  lost: number;
  /** Tries that no member acknowledged within their time; each key is tried once. */
  failed: number;
  /** Longest time between two acknowledged writes, milliseconds. */
  longestGapMs: number;
  /** Longest time in which no member that answered knew a leader, milliseconds. */
  longestWithoutLeaderMs: number;
  /** How many were acknowledged over mutual TLS. */
  overTls: number;
}

interface Member {
  name: string;
  host: string;
  port: number;
  root: string;
}

const EVERY_MS = 100;
const TIMEOUT_MS = 1500;
const FOLDER = '/etc/kube-mtls/pki/etcd/current';

const base64 = (text: string) => Buffer.from(text).toString('base64');

function call(member: Member, secure: boolean, path: string, body: object): Promise<Record<string, unknown>> {
  return new Promise((resolve, reject) => {
    const read = (name: string) => readFileSync(join(member.root, FOLDER, name));
    const tls = secure
      ? { ca: read('client-ca.crt'), cert: read('healthcheck-client.crt'), key: read('healthcheck-client.key') }
      : {};
    const { host, port } = member;
    const options = { host, port, path, method: 'POST', agent: false, timeout: TIMEOUT_MS, ...tls };
    const ask = (secure ? httpsRequest : httpRequest)(options, (response) => {
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (part) => {
        text += part;
      });
      response.on('end', () => {
        if (response.statusCode !== 200) return reject(new Error(`${response.statusCode} ${text}`));
        try {
          resolve(JSON.parse(text));
        } catch (error) {
          reject(error);
        }
      });
      response.on('error', reject);
    });
    ask.on('timeout', () => ask.destroy(new Error('no answer in time')));
    ask.on('error', reject);
    ask.end(JSON.stringify(body));
  });
}

/** The answer of a member in the way that it speaks now, and which that is. */
async function either(
  member: Member,
  path: string,
  body: object,
): Promise<{ answer: Record<string, unknown>; secure: boolean }> {
  let first: unknown;
  for (const secure of [true, false]) {
    try {
      return { answer: await call(member, secure, path, body), secure };
    } catch (error) {
      first ??= error;
    }
  }
  throw first;
}

const members = process.argv.slice(2).map((word): Member => {
  const [name = '', at = '', root = ''] = word.split('=');
  const [host = '', port = ''] = at.split(':');
  return { name, host, port: Number(port), root };
});
const report: WriterReport = {
  ...{ tried: 0, acknowledged: 0, lost: 0, failed: 0, longestGapMs: 0, longestWithoutLeaderMs: 0, overTls: 0 },
};
const acknowledged = new Map<string, string>();
let ending = false;
process.stdin
  .once('end', () => {
    ending = true;
  })
  .resume();

/** A put is tried at every member in turn, so that one that restarts does not count. A put is idempotent here: one value a key. */
async function write(): Promise<void> {
  let lastAckMs = Date.now();
  while (!ending) {
    const startedMs = Date.now();
    const key = `/kube-mtls-writer/${report.tried++}`;
    const value = `${key} at ${startedMs}`;
    let done = false;
    for (let turn = 0; turn < members.length && !done; turn++) {
      const member = members[(report.tried + turn) % members.length];
      if (member === undefined) break;
      try {
        const { secure } = await either(member, '/v3/kv/put', { key: base64(key), value: base64(value) });
        done = true;
        if (secure) report.overTls++;
      } catch {
        // the next member, or a failed try
      }
    }
    if (done) {
      acknowledged.set(key, value);
      report.longestGapMs = Math.max(report.longestGapMs, Date.now() - lastAckMs);
      lastAckMs = Date.now();
    } else report.failed++;
    await new Promise((resolve) => setTimeout(resolve, Math.max(0, startedMs + EVERY_MS - Date.now())));
  }
  report.acknowledged = acknowledged.size;
}

async function watchLeader(): Promise<void> {
  let withoutSinceMs: number | undefined;
  while (!ending) {
    const startedMs = Date.now();
    const answers = await Promise.allSettled(members.map((member) => either(member, '/v3/maintenance/status', {})));
    const told = answers.flatMap((answer) => (answer.status === 'fulfilled' ? [answer.value.answer] : []));
    const led = told.some(({ leader }) => leader !== undefined && leader !== '0');
    if (led) withoutSinceMs = undefined;
    else withoutSinceMs ??= startedMs;
    if (withoutSinceMs !== undefined) {
      report.longestWithoutLeaderMs = Math.max(report.longestWithoutLeaderMs, Date.now() - withoutSinceMs);
    }
    await new Promise((resolve) => setTimeout(resolve, Math.max(0, startedMs + EVERY_MS - Date.now())));
  }
}

async function readBack(): Promise<void> {
  const [member] = members;
  if (member === undefined) return;
  const end = base64('/kube-mtls-writer0'); // "0" follows "/"
  const { answer } = await either(member, '/v3/kv/range', {
    key: base64('/kube-mtls-writer/'),
    range_end: end,
    limit: 1e6,
  });
  const kvs = Array.isArray(answer.kvs) ? answer.kvs : [];
  const found = new Map<string, string>(
    kvs.map(({ key, value }: { key: string; value: string }) => [
      Buffer.from(key, 'base64').toString(),
      Buffer.from(value, 'base64').toString(),
    ]),
  );
  for (const [key, value] of acknowledged) if (found.get(key) !== value) report.lost++;
}

await Promise.all([write(), watchLeader()]);
await readBack();
console.log(JSON.stringify(report));
