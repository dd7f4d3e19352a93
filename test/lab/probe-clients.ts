/**
 * A program of its own: calls the API server again and again as each kind of client does, every time on a new connection and with
 * the files as they are at that moment, until its input ends. Then it prints what came back, as JSON.
 *
 *     node probe-clients.ts ROOT ENDPOINT NODE LOG-PATH KUBELET-ROOT
 *
 * ROOT is the root of the control plane host as this machine sees it, KUBELET-ROOT that of the host with NODE's kubelet.
 */
import { readFileSync } from 'node:fs';
import { request } from 'node:https';
import { join } from 'node:path';
import { parse } from 'yaml';

/** What one kind of client met. */
export interface ProbeCount {
  asked: number;
  answered: number;
  /** Refused: 401, 403, or a certificate that one side did not take. Each with its time and what was said. */
  refused: { atMs: number; why: string }[];
  /** Not reached, or not ready: connection refused or reset, no answer in time, 5xx. */
  away: { atMs: number; why: string }[];
  /** The longest time without an answer, milliseconds. */
  longestGapMs: number;
  /** For leases: the longest time between two renewals that was seen, milliseconds. */
  oldestMs: number;
}

/** What the program prints. */
export interface ProbeReport {
  clients: Record<string, ProbeCount>;
  /** When a caller without any certificate, who trusts everybody, found the API server not ready: from, until; ms since the epoch. */
  outages: { fromMs: number; untilMs: number }[];
}

interface Credentials {
  host: string;
  port: number;
  ca: string;
  cert: string;
  key: string;
}

interface Answer {
  status: number;
  body: string;
}

const EVERY_MS = 200;
const TIMEOUT_MS = 3000;

function credentials(root: string, kubeconfigPath: string): Credentials {
  const config = parse(readFileSync(join(root, kubeconfigPath), 'utf8'));
  const context = config.contexts.find((each: { name: string }) => each.name === config['current-context']).context;
  const { cluster } = config.clusters.find((each: { name: string }) => each.name === context.cluster);
  const { user } = config.users.find((each: { name: string }) => each.name === context.user);
  const pem = (value: Record<string, string>, key: string) => {
    const data = value[`${key}-data`];
    return data === undefined
      ? readFileSync(join(root, value[key] ?? ''), 'utf8')
      : Buffer.from(data, 'base64').toString();
  };
  const url = new URL(cluster.server);
  return {
    ...{ host: url.hostname, port: Number(url.port || 443), ca: pem(cluster, 'certificate-authority') },
    ...{ cert: pem(user, 'client-certificate'), key: pem(user, 'client-key') },
  };
}

async function get(options: object, path: string): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const call = request({ ...options, path, method: 'GET', agent: false, timeout: TIMEOUT_MS }, (response) => {
      let body = '';
      response.setEncoding('utf8');
      response.on('data', (part) => {
        body += part;
      });
      response.on('end', () => resolve({ status: response.statusCode ?? 0, body }));
      response.on('error', reject);
    });
    call.on('timeout', () => call.destroy(new Error('no answer in time')));
    call.on('error', reject);
    call.end();
  });
}

/** Certificate and key are two files: the link to both may switch between the two reads, which every client has to bear. */
async function getWithFiles(root: string, kubeconfigPath: string, path: string): Promise<Answer> {
  try {
    return await get(credentials(root, kubeconfigPath), path);
  } catch (error) {
    if (!(error instanceof Error) || !/key values mismatch/.test(error.message)) throw error;
    return get(credentials(root, kubeconfigPath), path);
  }
}

/** Errors that are about a certificate and not about a process that is away. */
function isAboutCertificates(error: Error & { code?: string }): boolean {
  const text = `${error.code ?? ''} ${error.message}`;
  return /CERT|certificate|ALERT|ALTNAME|SIGNED|UNABLE_TO|self.signed|KEY_VALUES|key values/i.test(text);
}

/** Calls as one kind of client until the signal fires. */
async function probe(
  root: string,
  kubeconfigPath: string,
  path: string,
  renewTime: boolean,
  signal: AbortSignal,
): Promise<ProbeCount> {
  const count: ProbeCount = { asked: 0, answered: 0, refused: [], away: [], longestGapMs: 0, oldestMs: 0 };
  let answeredMs = Date.now();
  let last = '';
  let lastSeenMs = 0;
  while (!signal.aborted) {
    const atMs = Date.now();
    count.asked++;
    try {
      const { status, body } = await getWithFiles(root, kubeconfigPath, path);
      if (status === 401 || status === 403) count.refused.push({ atMs, why: `${status} ${body.slice(0, 200)}` });
      else if (status >= 500) count.away.push({ atMs, why: `${status} ${body.slice(0, 300)}` });
      else if (status !== 200) count.refused.push({ atMs, why: `${status} ${body.slice(0, 200)}` });
      else {
        count.answered++;
        answeredMs = noteGap(count, answeredMs);
      }
      if (renewTime && status === 200) {
        const renewed = String(JSON.parse(body).spec.renewTime);
        if (renewed !== last && last !== '') {
          count.oldestMs = Math.max(count.oldestMs, Date.parse(renewed) - lastSeenMs);
        }
        last = renewed;
        lastSeenMs = Date.parse(renewed);
      }
    } catch (thrown) {
      const error = thrown instanceof Error ? thrown : new Error(String(thrown));
      (isAboutCertificates(error) ? count.refused : count.away).push({ atMs, why: error.message.slice(0, 200) });
    }
    await pause(atMs + EVERY_MS - Date.now(), signal);
  }
  noteGap(count, answeredMs);
  return count;
}

/** Returns the moment to which it counted. */
function noteGap(count: ProbeCount, sinceMs: number): number {
  const nowMs = Date.now();
  count.longestGapMs = Math.max(count.longestGapMs, nowMs - sinceMs);
  return nowMs;
}

/** Notes when the API server itself is away, whatever the certificates. */
async function watch(endpoint: URL, signal: AbortSignal): Promise<ProbeReport['outages']> {
  const outages: ProbeReport['outages'] = [];
  let open: { fromMs: number; untilMs: number } | undefined;
  while (!signal.aborted) {
    const atMs = Date.now();
    const options = { host: endpoint.hostname, port: Number(endpoint.port), rejectUnauthorized: false };
    const status = await get(options, '/readyz').then(
      (answer) => answer.status,
      () => 0,
    );
    // a server that wants no anonymous callers is there all the same
    const ready = status === 200 || status === 401 || status === 403;
    if (!ready && open === undefined) {
      open = { fromMs: atMs - EVERY_MS, untilMs: atMs };
      outages.push(open);
    }
    if (open !== undefined) open.untilMs = Date.now();
    if (ready) open = undefined;
    await pause(atMs + EVERY_MS - Date.now(), signal);
  }
  return outages;
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, Math.max(0, ms));
    signal.addEventListener('abort', () => {
      clearTimeout(timer);
      resolve();
    });
  });
}

const [root = '', endpoint = '', node = '', logPath = '', kubeletRoot = ''] = process.argv.slice(2);
const end = new AbortController();
process.stdin.once('end', () => end.abort()).resume();
const lease = (namespace: string, name: string) =>
  `/apis/coordination.k8s.io/v1/namespaces/${namespace}/leases/${name}`;
const etc = '/etc/kubernetes';
const [kubectl, kubelet, manager, logs, outages] = await Promise.all([
  probe(root, `${etc}/admin.conf`, '/api/v1/nodes', false, end.signal),
  probe(kubeletRoot, `${etc}/kubelet.conf`, lease('kube-node-lease', node), true, end.signal),
  probe(root, `${etc}/controller-manager.conf`, lease('kube-system', 'kube-controller-manager'), true, end.signal),
  probe(root, `${etc}/admin.conf`, logPath, false, end.signal),
  watch(new URL(endpoint), end.signal),
]);
const report: ProbeReport = {
  clients: { kubectl, 'kubelet lease': kubelet, 'controller manager lease': manager, 'kubelet logs': logs },
  outages,
};
console.log(JSON.stringify(report));
