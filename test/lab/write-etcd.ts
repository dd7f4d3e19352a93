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
  /** Longest time between two answers that named a leader, whoever was silent meanwhile, milliseconds; never less than between two askings. */
  longestWithoutLeaderMs: number;
  /** How many were acknowledged over mutual TLS. */
  overTls: number;
}

interface Member {
  name: string;
  host: string;
  port: number;
  root: string;
  /** As it spoke last. */
  secure: boolean;
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

/** The answer of a member in the way that it speaks now, tried as it spoke last and then the other way. */
async function either(member: Member, path: string, body: object): Promise<Record<string, unknown>> {
  let first: unknown;
  const { secure: last } = member;
  for (const secure of [last, !last]) {
    try {
      const answer = await call(member, secure, path, body);
      member.secure = secure;
      return answer;
    } catch (error) {
      first ??= error;
    }
  }
  throw first;
}

const members = process.argv.slice(2).map((word): Member => {
  const [name = '', at = '', root = ''] = word.split('=');
  const [host = '', port = ''] = at.split(':');
  return { name, host, port: Number(port), root, secure: false };
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
        await either(member, '/v3/kv/put', { key: base64(key), value: base64(value) });
        done = true;
        if (member.secure) report.overTls++;
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

/** When a member named a leader last. */
let ledMs = Date.now();

/** Asks one member; one that hangs holds up none of the others. */
async function watchLeader(member: Member): Promise<void> {
  while (!ending) {
    const startedMs = Date.now();
    const told = await either(member, '/v3/maintenance/status', {}).catch(() => undefined);
    noteLeader(told?.leader !== undefined && told.leader !== '0');
    await new Promise((resolve) => setTimeout(resolve, Math.max(0, startedMs + EVERY_MS - Date.now())));
  }
}

function noteLeader(isNamed: boolean): void {
  const nowMs = Date.now();
  report.longestWithoutLeaderMs = Math.max(report.longestWithoutLeaderMs, nowMs - ledMs);
  if (isNamed) ledMs = nowMs;
}

/** Every key, of the first member that answers. */
async function readAll(): Promise<Record<string, unknown>> {
  const end = base64('/kube-mtls-writer0'); // "0" follows "/"
  const range = { key: base64('/kube-mtls-writer/'), range_end: end, limit: 1e6 };
  let failure: unknown = new Error('there are no members');
  for (const member of [...members, ...members, ...members]) {
    try {
      return await either(member, '/v3/kv/range', range);
    } catch (error) {
      failure = error;
    }
  }
  throw failure;
}

async function readBack(): Promise<void> {
  const answer = await readAll();
  const kvs = Array.isArray(answer.kvs) ? answer.kvs : [];
  const found = new Map<string, string>(
    kvs.map(({ key, value }: { key: string; value: string }) => [
      Buffer.from(key, 'base64').toString(),
      Buffer.from(value, 'base64').toString(),
    ]),
  );
  for (const [key, value] of acknowledged) if (found.get(key) !== value) report.lost++;
}

await Promise.all([write(), ...members.map(watchLeader)]);
await readBack();
console.log(JSON.stringify(report));
