/** etcd's configuration file (embed.ConfigFromFile): its settings by the names of the flags that mean the same. */
import { isAlias, isMap, isScalar, isSeq } from 'yaml';
import type { EtcdSetting, SourceFile } from './detected.ts';
import { etcdDialect } from './flag-dialects.ts';
import { NotUnderstood } from './not-understood.ts';
import { isTrue, parseYamlFile, type YamlFile } from './yaml-file.ts';

/** Flag names by key of the sections; whatever else stands there has no flag of its own. */
const sections: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  'client-transport-security': {
    'cert-file': 'cert-file',
    'key-file': 'key-file',
    'client-cert-file': 'client-cert-file',
    'client-key-file': 'client-key-file',
    'client-cert-auth': 'client-cert-auth',
    'trusted-ca-file': 'trusted-ca-file',
    'auto-tls': 'auto-tls',
    'allowed-hostname': 'client-cert-allowed-hostname',
  },
  'peer-transport-security': {
    'cert-file': 'peer-cert-file',
    'key-file': 'peer-key-file',
    'client-cert-file': 'peer-client-cert-file',
    'client-key-file': 'peer-client-key-file',
    'client-cert-auth': 'peer-client-cert-auth',
    'trusted-ca-file': 'peer-trusted-ca-file',
    'auto-tls': 'peer-auto-tls',
    'allowed-cn': 'peer-cert-allowed-cn',
    'allowed-hostname': 'peer-cert-allowed-hostname',
    'skip-client-san-verification': 'peer-skip-client-san-verification',
  },
};

/** Flags that are no key of the top, where etcd passes them over (embed.Config, etcd 3.4 to 3.6): they stand in a section. */
const inSections: ReadonlySet<string> = new Set([
  ...Object.values(sections).flatMap((flags) => Object.values(flags)),
  'discovery-endpoints',
]);

/** Keys of the top that this program decides by. etcd reads them in capitals too (encoding/json), and this program does not. */
const read: ReadonlySet<string> = new Set([
  ...Object.keys(sections),
  ...['name', 'initial-cluster', 'discovery', 'discovery-srv', 'cipher-suites', 'enable-grpc-gateway', 'log-outputs'],
  ...['listen-client-urls', 'advertise-client-urls', 'listen-peer-urls', 'initial-advertise-peer-urls'],
  ...['listen-metrics-urls', 'listen-client-http-urls'],
]);

/**
 * The settings. An empty value sets nothing, a list is joined by commas, a mapping other than the sections is
 * passed over, since no flag means the same, and so is at the top what etcd reads in a section only.
 *
 * @throws NotUnderstood with the line when it is no YAML mapping, a section or a value in it is none, or a key has capitals
 */
export function etcdFileSettings(file: SourceFile): Map<string, EtcdSetting> {
  const yaml = parseYamlFile(file);
  const settings = new Map<string, EtcdSetting>();
  const add = (name: string, node: unknown) => {
    const value = textOf(file, yaml, name, node);
    if (value !== '') settings.set(name, { value, from: 'file' });
  };
  for (const { key, value } of yaml.top.items) {
    const name = nameOf(file, yaml, key, read);
    const flags = sections[name];
    if (flags === undefined) {
      if (!isMap(value) && !inSections.has(name)) add(name, value);
      continue;
    }
    if (isScalar(value) && value.value === null) continue;
    if (!isMap(value)) refuse(file, yaml, value ?? key, `${name} is no mapping`);
    for (const item of value.items) {
      const flag = flags[nameOf(file, yaml, item.key, new Set(Object.keys(flags)))];
      if (flag !== undefined) add(flag, item.value);
    }
  }
  return settings;
}

/**
 * What stands at the top of the file by the name of its flag, though etcd reads it in a section only: a sentence for each.
 *
 * @throws NotUnderstood when it is no YAML mapping
 */
export function passedOver(file: SourceFile): string[] {
  return parseYamlFile(file).top.items.flatMap(({ key }) => {
    const name = isScalar(key) ? String(key.value) : '';
    const place = placeOf(name);
    return place === undefined
      ? []
      : [`${name} at the top of ${file.path} counts for nothing: etcd reads ${place.key} of ${place.section}`];
  });
}

/** Section and key of the setting that a flag of this name gives. */
function placeOf(flag: string): { section: string; key: string } | undefined {
  for (const [section, flags] of Object.entries(sections)) {
    const key = Object.keys(flags).find((each) => flags[each] === flag);
    if (key !== undefined) return { section, key };
  }
  return undefined;
}

function nameOf(file: SourceFile, yaml: YamlFile, key: unknown, known: ReadonlySet<string>): string {
  const name = isScalar(key) ? String(key.value) : '';
  const lower = name.toLowerCase();
  if (lower !== name && known.has(lower)) refuse(file, yaml, key, `${name} has capitals: write it as ${lower}`);
  return name;
}

function textOf(file: SourceFile, yaml: YamlFile, name: string, node: unknown): string {
  if (node === null || node === undefined) return '';
  if (isSeq(node)) return node.items.map((item) => textOf(file, yaml, name, item)).join(',');
  if (isAlias(node) || !isScalar(node)) refuse(file, yaml, node, `${name} is no plain value`);
  const { value } = node;
  if (value === null || value === undefined) return '';
  if (etcdDialect.booleans.has(name)) return String(isTrue(value));
  return String(value);
}

function refuse(file: SourceFile, yaml: YamlFile, node: unknown, message: string): never {
  throw new NotUnderstood(message, { path: file.path, line: yaml.lineOf(node) });
}
