/** Every file of a host's Kubernetes folders with the certificates in it, before and after a change. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import { type Certificate, parseCertificates } from '../../common/x509/certificate.ts';
import type { Host } from './host.ts';

/** Where Kubernetes keeps what this is about. */
const FOLDERS = ['/etc/kubernetes', '/var/lib/kubelet', '/etc/kube-mtls/pki'];
/** Of pods and of kubelet's own book-keeping; nothing in there is a certificate of a component. */
const LEFT_OUT = ['/var/lib/kubelet/pods', '/var/lib/kubelet/plugins', '/var/lib/kubelet/device-plugins'];

/** A file: what it is, and the certificates in it in one line each. */
export interface FileEntry {
  path: string;
  kind: 'certificates' | 'key' | 'kubeconfig' | 'configuration';
  /** "CN=…, issued by … , serial …", or what a kubeconfig refers to. */
  content: string[];
}

/** All files of those folders of a host, by path. Links are followed only for the versions that `current` names. */
export function listFiles(host: Host): Map<string, FileEntry> {
  const found = new Map<string, FileEntry>();
  for (const folder of FOLDERS) walk(host, folder, found);
  return found;
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

function walk(host: Host, folder: string, found: Map<string, FileEntry>): void {
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

function describeFile(host: Host, path: string): FileEntry | undefined {
  let text: string;
  try {
    text = readFileSync(join(host.root, path), 'utf8');
  } catch {
    return undefined; // a socket, or a link that leads out of this view
  }
  if (text.includes('-----BEGIN CERTIFICATE-----')) {
    return { path, kind: 'certificates', content: describeAll(text) };
  }
  if (/-----BEGIN [A-Z ]*(PRIVATE|PUBLIC) KEY-----/.test(text)) return { path, kind: 'key', content: ['a key'] };
  if (/^kind: Config$/m.test(text)) return { path, kind: 'kubeconfig', content: describeKubeconfig(text) };
  return { path, kind: 'configuration', content: referencesIn(text) };
}

function describeAll(pem: string): string[] {
  try {
    return parseCertificates(pem).map(describe);
  } catch {
    return ['certificates that cannot be read'];
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
