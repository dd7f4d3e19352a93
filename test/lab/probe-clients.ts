/**
 * A program of its own: calls the API server again and again as each kind of client does, every time on a new connection and with
 * the files as they are at that moment, until its input ends. Then it prints what came back, as JSON.
 *
 *     node probe-clients.ts ROOT ENDPOINT NODE LOG-PATH KUBELET-ROOT
 *
 * ROOT is the root of the control plane host as this machine sees it, KUBELET-ROOT that of the host with NODE's kubelet.
 */
import { lstatSync, readFileSync, readlinkSync } from 'node:fs';
import { request } from 'node:https';
import { dirname, join, resolve } from 'node:path';
import { parse } from 'yaml';

/** A span of time, milliseconds since the epoch. */
export interface Span {
  fromMs: number;
  untilMs: number;
}

/** A call without the answer that was wanted: from the moment it began until that was known. */
export interface Missed extends Span {
  /** Status and body, or the error. */
  why: string;
}

/** What one kind of client met. */
export interface ProbeCount {
  asked: number;
  answered: number;
  /** Refused: 401, 403, or a certificate that one side did not take. */
  refused: Missed[];
  /** Not reached, or not ready: connection refused or reset, no answer in time, 5xx. */
  away: Missed[];
  /** The longest time without an answer, milliseconds. */
  longestGapMs: number;
  /** For leases: the greatest age that was seen, the one at the end included, milliseconds. */
  oldestMs: number;
}

/** What the program prints. */
export interface ProbeReport {
  clients: Record<string, ProbeCount>;
  /** When an administrator who trusts every server found the API server not ready: between two answers that it is. */
  outages: Span[];
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
/** Shorter: whatever keeps a client waiting until its limit is an outage for the watcher too. */
const WATCH_TIMEOUT_MS = 2000;
/** Of what was said, at most. */
const WHY_LENGTH = 300;
const ADMIN = '/etc/kubernetes/admin.conf';

/** A file of the host; kubelet's own is a link with an absolute target, which would lead to this machine. */
function onHost(root: string, path: string): string {
  const file = join(root, path);
  if (!lstatSync(file).isSymbolicLink()) return file;
  return join(root, resolve(dirname(path), readlinkSync(file)));
}

function credentials(root: string, kubeconfigPath: string): Credentials {
  const config = parse(readFileSync(join(root, kubeconfigPath), 'utf8'));
  const context = config.contexts.find((each: { name: string }) => each.name === config['current-context']).context;
  const { cluster } = config.clusters.find((each: { name: string }) => each.name === context.cluster);
  const { user } = config.users.find((each: { name: string }) => each.name === context.user);
  const pem = (value: Record<string, string>, key: string) => {
    const data = value[`${key}-data`];
    return data === undefined
      ? readFileSync(onHost(root, value[key] ?? ''), 'utf8')
      : Buffer.from(data, 'base64').toString();
  };
  const url = new URL(cluster.server);
  return {
    ...{ host: url.hostname, port: Number(url.port || 443), ca: pem(cluster, 'certificate-authority') },
    ...{ cert: pem(user, 'client-certificate'), key: pem(user, 'client-key') },
  };
}

async function get(options: object, path: string, timeoutMs = TIMEOUT_MS): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const call = request({ ...options, path, method: 'GET', agent: false }, (response) => {
      let body = '';
      response.setEncoding('utf8');
      response.on('data', (part) => {
        body += part;
      });
      response.on('end', () => resolve({ status: response.statusCode ?? 0, body }));
      response.on('error', reject);
    });
    const limit = setTimeout(() => call.destroy(new Error('no answer in time')), timeoutMs);
    call.on('close', () => clearTimeout(limit));
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
  let renewedMs = Number.NaN;
  while (!signal.aborted) {
    const fromMs = Date.now();
    const missed = (why: string): Missed => ({ fromMs, untilMs: Date.now(), why: why.slice(0, WHY_LENGTH) });
    count.asked++;
    try {
      const { status, body } = await getWithFiles(root, kubeconfigPath, path);
      if (status === 200) {
        count.answered++;
        answeredMs = noteGap(count, answeredMs);
        if (renewTime) renewedMs = noteAge(count, Date.parse(String(JSON.parse(body).spec.renewTime)));
      } else (status >= 500 ? count.away : count.refused).push(missed(`${status} ${body}`));
    } catch (thrown) {
      const error = thrown instanceof Error ? thrown : new Error(String(thrown));
      (isAboutCertificates(error) ? count.refused : count.away).push(missed(error.message));
    }
    await pause(fromMs + EVERY_MS - Date.now(), signal);
  }
  noteGap(count, answeredMs);
  if (!Number.isNaN(renewedMs)) noteAge(count, renewedMs);
  return count;
}

/** Returns the moment to which it counted. */
function noteGap(count: ProbeCount, sinceMs: number): number {
  const nowMs = Date.now();
  count.longestGapMs = Math.max(count.longestGapMs, nowMs - sinceMs);
  return nowMs;
}

/** Returns when the lease was renewed. */
function noteAge(count: ProbeCount, renewedMs: number): number {
  count.oldestMs = Math.max(count.oldestMs, Date.now() - renewedMs);
  return renewedMs;
}

/**
 * Notes when the API server itself is away, whatever the certificates. It asks as an administrator: an API server that has not read its
 * roles yet answers 403 to everybody but masters, and says to a caller without a certificate neither that it is ready nor that it is not.
 */
async function watch(endpoint: URL, signal: AbortSignal): Promise<Span[]> {
  const outages: Span[] = [];
  let open: Span | undefined;
  let readyMs = Date.now();
  while (!signal.aborted) {
    const atMs = Date.now();
    // a server that does not know the administrator is there: what clients hear of it is no outage
    if ([200, 401, 403].includes(await readiness(endpoint))) {
      if (open !== undefined) open.untilMs = Date.now();
      open = undefined;
      readyMs = atMs;
    } else {
      if (open === undefined) {
        open = { fromMs: readyMs, untilMs: atMs };
        outages.push(open);
      }
      open.untilMs = Date.now();
    }
    await pause(atMs + EVERY_MS - Date.now(), signal);
  }
  return outages;
}

/** The status of /readyz for an administrator, 0 without an answer. */
async function readiness({ hostname: host, port }: URL): Promise<number> {
  try {
    const { cert, key } = credentials(root, ADMIN);
    const options = { host, port: Number(port), cert, key, rejectUnauthorized: false };
    return (await get(options, '/readyz', WATCH_TIMEOUT_MS)).status;
  } catch {
    return 0;
  }
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
  probe(root, ADMIN, '/api/v1/nodes', false, end.signal),
  probe(kubeletRoot, `${etc}/kubelet.conf`, lease('kube-node-lease', node), true, end.signal),
  probe(root, `${etc}/controller-manager.conf`, lease('kube-system', 'kube-controller-manager'), true, end.signal),
  probe(root, ADMIN, logPath, false, end.signal),
  watch(new URL(endpoint), end.signal),
]);
const report: ProbeReport = {
  clients: { kubectl, 'kubelet lease': kubelet, 'controller manager lease': manager, 'kubelet logs': logs },
  outages,
};
console.log(JSON.stringify(report));
