/** etcd's configuration file (embed.ConfigFromFile): its settings by the names of the flags that mean the same. */
import { isAlias, isMap, isScalar, isSeq } from 'yaml';
import type { EtcdSetting, SourceFile } from './detected.ts';
import { etcdDialect } from './flag-dialects.ts';
import { NotUnderstood } from './not-understood.ts';
import { isTrue, parseYamlFile, type YamlFile } from './yaml-file.ts';

/** Flag names by key of the two sections; whatever else stands there has no flag of its own. */
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

/**
 * The settings. An empty value sets nothing, a list is joined by commas, and a mapping other than the two sections is
 * passed over: no flag means the same.
 *
 * @throws NotUnderstood with the line when it is no YAML mapping, or a section or a value in it is none
 */
export function etcdFileSettings(file: SourceFile): Map<string, EtcdSetting> {
  const yaml = parseYamlFile(file);
  const settings = new Map<string, EtcdSetting>();
  const add = (name: string, node: unknown) => {
    const value = textOf(file, yaml, name, node);
    if (value !== '') settings.set(name, { value, from: 'file' });
  };
  for (const { key, value } of yaml.top.items) {
    const name = isScalar(key) ? String(key.value) : '';
    const flags = sections[name];
    if (flags === undefined) {
      if (!isMap(value)) add(name, value);
      continue;
    }
    if (isScalar(value) && value.value === null) continue;
    if (!isMap(value)) refuse(file, yaml, value ?? key, `${name} is no mapping`);
    for (const item of value.items) {
      const flag = isScalar(item.key) ? flags[String(item.key.value)] : undefined;
      if (flag !== undefined) add(flag, item.value);
    }
  }
  return settings;
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
