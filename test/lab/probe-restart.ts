/**
 * A program of its own: what clients meet while an API server restarts, until its input ends. Then it prints that as JSON.
 *
 *     node probe-restart.ts ROOT ENDPOINT
 *
 * ROOT is the root of the control plane host as this machine sees it. Ten times a second and each time on a new connection it asks
 * /readyz, reads a ConfigMap and writes it. It holds watches over HTTP/1.1, which are what v1.20.2 lives on for: with Go 1.15 its stop closes
 * connections of HTTP/2 at once, whatever is under way on them (net/http's closeIdleConns takes them for new ones).
 */
import { readFileSync } from 'node:fs';
import { request } from 'node:https';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { parse } from 'yaml';

/** What the program prints; times are milliseconds since the epoch. */
export interface RestartReport {
  /** When /readyz answered with 200. */
  readyAtMs: number[];
  /** Calls that were neither answered nor refused a connection: what cut them, and when they were made. */
  cut: { atMs: number; call: string; why: string }[];
  /** Reads and writes that were answered with 200. */
  answered: number;
  /** When a watch ended that had begun. */
  watchesEndedAtMs: number[];
}

const EVERY_MS = 100;
const WATCHES = 5;
const OBJECT = '/api/v1/namespaces/default/configmaps/probe-restart';

const [root = '', endpoint = ''] = process.argv.slice(2);
const report: RestartReport = { readyAtMs: [], cut: [], answered: 0, watchesEndedAtMs: [] };
let isOver = false;
process.stdin
  .once('end', () => {
    isOver = true;
  })
  .resume();

/** Of the administrator, as they are now. */
function options(): object {
  const config = parse(readFileSync(join(root, 'etc/kubernetes/admin.conf'), 'utf8'));
  const [{ user }] = config.users;
  const { hostname: host, port } = new URL(endpoint);
  const decoded = (name: string) => Buffer.from(String(user[`${name}-data`]), 'base64');
  const own = { cert: decoded('client-certificate'), key: decoded('client-key') };
  return { host, port, ...own, rejectUnauthorized: false, agent: false };
}

function call(method: string, path: string, body = '', onData?: () => void): Promise<number> {
  return new Promise((resolve, reject) => {
    const headers = { 'content-type': 'application/json' };
    const limit = onData === undefined ? { timeout: 15_000 } : {};
    const asked = request({ ...options(), ...limit, method, path, headers }, (response) => {
      onData?.();
      response.on('data', () => {});
      response.on('end', () => resolve(response.statusCode ?? 0));
      response.on('error', reject);
    });
    asked.on('timeout', () => asked.destroy(new Error('no answer in time')));
    asked.on('error', reject);
    asked.end(body);
  });
}

async function probe(method: string, path: string, body?: string): Promise<void> {
  while (!isOver) {
    const atMs = Date.now();
    try {
      const status = await call(method, path, body);
      if (status === 200 && path === '/readyz') report.readyAtMs.push(Date.now());
      else if (status === 200) report.answered++;
    } catch (error) {
      const why = error instanceof Error && 'code' in error ? String(error.code) : String(error);
      if (why !== 'ECONNREFUSED') report.cut.push({ atMs, call: `${method} ${path}`, why });
    }
    await delay(Math.max(0, atMs + EVERY_MS - Date.now()));
  }
}

async function hold(): Promise<void> {
  while (!isOver) {
    let begun = false;
    const began = () => {
      begun = true;
    };
    await call('GET', '/api/v1/namespaces?watch=true&timeoutSeconds=3600', '', began).catch(() => 0);
    if (begun) report.watchesEndedAtMs.push(Date.now());
    await delay(200);
  }
}

const object = JSON.stringify({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'probe-restart' } });
await call('POST', OBJECT.replace(/\/[^/]*$/, ''), object);
for (let count = 0; count < WATCHES; count++) void hold();
await Promise.all([probe('GET', '/readyz'), probe('GET', OBJECT), probe('PUT', OBJECT, object)]);
process.stdout.write(JSON.stringify(report), () => process.exit(0)); // the watches go on otherwise
