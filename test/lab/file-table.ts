/** Every file of a host's Kubernetes folders with the certificates in it, before and after a change. */
import { createHash } from 'node:crypto';
import { lstatSync, readdirSync, readFileSync, readlinkSync, statSync } from 'node:fs';
import { dirname, isAbsolute, join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { parse } from 'yaml';
import { messageOf } from '../../common/errors/app-error.ts';
import { type Certificate, parseCertificates } from '../../common/x509/certificate.ts';
import type { Host } from './host.ts';

/** Where Kubernetes keeps what this is about. */
const FOLDERS = ['/etc/kubernetes', '/var/lib/kubelet', '/etc/kube-mtls/pki'];
/** Of pods and of kubelet's own book-keeping; nothing in there is a certificate of a component. */
const LEFT_OUT = ['/var/lib/kubelet/pods', '/var/lib/kubelet/plugins', '/var/lib/kubelet/device-plugins'];

/** Content of a file, or of data in a kubeconfig, whose certificates are none. */
const UNREAD = 'certificates that cannot be read';
/** As the kernel follows at most. */
const MOST_LINKS = 40;

/** A file: what it is, and the certificates in it in one line each. */
export interface FileEntry {
  path: string;
  kind: 'certificates' | 'key' | 'kubeconfig' | 'configuration' | 'unreadable';
  /** "CN=…, issued by … , serial …", a hash of a key, or what a kubeconfig or a configuration refers to. */
  content: string[];
}

/** All files of those folders of a host, by path. Links are followed only for the versions that `current` names. */
export function listFiles(host: Pick<Host, 'root'>): Map<string, FileEntry> {
  const found = new Map<string, FileEntry>();
  for (const folder of FOLDERS) walk(host, folder, found);
  return found;
}

/** Files that could not be read, or whose certificates could not. */
export function unreadFiles(files: ReadonlyMap<string, FileEntry>): string[] {
  const unread = [...files.values()].filter(
    ({ kind, content }) => kind === 'unreadable' || content.some((each) => each.endsWith(UNREAD)),
  );
  return unread.map(({ path, content }) => `${path}: ${content.join('; ')}`);
}

/** Paths of files that are gone. */
export function lostFiles(before: ReadonlyMap<string, FileEntry>, after: ReadonlyMap<string, FileEntry>): string[] {
  return [...before.keys()].filter((path) => !after.has(path));
}

/** Paths below a folder that hold something else than before, are gone, or are new. */
export function changedFiles(
  before: ReadonlyMap<string, FileEntry>,
  after: ReadonlyMap<string, FileEntry>,
  folder: string,
): string[] {
  const paths = [...new Set([...before.keys(), ...after.keys()])].filter((path) => path.startsWith(`${folder}/`));
  return paths.filter((path) => !isDeepStrictEqual(before.get(path), after.get(path))).sort();
}

/** A line a file: what it held before and what it holds after. */
export function fileTable(before: ReadonlyMap<string, FileEntry>, after: ReadonlyMap<string, FileEntry>): string {
  const paths = [...new Set([...before.keys(), ...after.keys()])].sort();
  return paths
    .map((path) => {
      const [was, is] = [before.get(path), after.get(path)];
      const [left, right] = [was?.content.join('; ') ?? '(no file)', is?.content.join('; ') ?? '(no file)'];
      const kind = (is ?? was)?.kind ?? '';
      return `${path}  [${kind}]\n    ${left === right ? `unchanged: ${left}` : `${left}\n -> ${right}`}`;
    })
    .join('\n');
}

function walk(host: Pick<Host, 'root'>, folder: string, found: Map<string, FileEntry>): void {
  if (LEFT_OUT.includes(folder)) return;
  let entries: ReturnType<typeof list>;
  try {
    entries = list(join(host.root, folder));
  } catch {
    return; // not on this host
  }
  for (const entry of entries) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) {
      if (!/^v\d{8}T/.test(entry.name)) walk(host, path, found); // the version in use is seen through its link
    } else if (entry.isSymbolicLink() && entry.name === 'current') {
      walk(host, path, found);
    } else if (entry.isFile() || entry.isSymbolicLink()) {
      const described = describeFile(host, path);
      if (described !== undefined) found.set(path, described);
    }
  }
}

function list(folder: string) {
  return readdirSync(folder, { withFileTypes: true });
}

/** Undefined for a link to a folder or to a socket. */
function describeFile({ root }: Pick<Host, 'root'>, path: string): FileEntry | undefined {
  let text: string;
  try {
    const file = followed(root, path);
    if (!statSync(file).isFile()) return undefined;
    text = readFileSync(file, 'utf8');
  } catch (error) {
    return { path, kind: 'unreadable', content: [`it cannot be read: ${messageOf(error)}`] };
  }
  if (text.includes('-----BEGIN CERTIFICATE-----')) {
    return { path, kind: 'certificates', content: describeAll(text) };
  }
  if (/-----BEGIN [A-Z ]*(PRIVATE|PUBLIC) KEY-----/.test(text)) return { path, kind: 'key', content: [keyHash(text)] };
  if (/^kind: Config$/m.test(text)) return { path, kind: 'kubeconfig', content: describeKubeconfig(text) };
  return { path, kind: 'configuration', content: referencesIn(text) };
}

/** Where a file's link leads on the host: absolute links begin at the host's root, not at this machine's. */
function followed(root: string, path: string): string {
  let file = path;
  for (let links = 0; links < MOST_LINKS && lstatSync(join(root, file)).isSymbolicLink(); links++) {
    const target = readlinkSync(join(root, file));
    file = isAbsolute(target) ? target : join(dirname(file), target);
  }
  return join(root, file);
}

/** Tells one key from another, and nothing of it. */
function keyHash(text: string): string {
  return `a key, sha256 ${createHash('sha256').update(text).digest('hex').slice(0, 16)}`;
}

function describeAll(pem: string): string[] {
  try {
    return parseCertificates(pem).map(describe);
  } catch {
    return [UNREAD];
  }
}

function describe({ subject, issuer, serial }: Certificate): string {
  return `${subject} by ${subject === issuer ? 'itself' : issuer} #${serial.slice(0, 8)}`;
}

function describeKubeconfig(text: string): string[] {
  const config = parse(text);
  const values: string[] = [];
  for (const { cluster = {} } of config.clusters ?? []) values.push(...describeEntry(cluster, 'certificate-authority'));
  for (const { user = {} } of config.users ?? []) values.push(...describeEntry(user, 'client-certificate'));
  return values;
}

function describeEntry(value: Record<string, string>, key: string): string[] {
  const data = value[`${key}-data`];
  if (data !== undefined) return describeAll(Buffer.from(data, 'base64').toString()).map((each) => `${key} ${each}`);
  return value[key] === undefined ? [] : [`${key} ${value[key]}`];
}

/** Files that a configuration or manifest names as certificates or roots. */
function referencesIn(text: string): string[] {
  const named = text.matchAll(
    /(?:[\w-]*(?:cert|ca|CA|Cert|key|Key)[\w-]*(?:-file|File|)|certfile|cafile)[=:] ?(\/\S+)/g,
  );
  return [...new Set([...named].map(([match]) => match))];
}
