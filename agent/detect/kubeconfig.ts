/** Kubeconfig files: the cluster and the user that the current context names. */
import { dirname, isAbsolute, join } from 'node:path';
import { isMap, isSeq } from 'yaml';
import type { SourceFile } from './detected.ts';
import { NotUnderstood } from './not-understood.ts';
import { parseYamlFile, type YamlFile } from './yaml-file.ts';

/** A certificate in a kubeconfig. */
export interface KubeconfigCertificate {
  key: 'client-certificate' | 'client-certificate-data' | 'certificate-authority' | 'certificate-authority-data';
  /** Absolute path for the keys without "-data", base64 for those with it. */
  value: string;
}

/** What the current context uses. */
export interface Kubeconfig {
  /** URL of the API server. */
  server: string;
  /** Embedded data wins over a file where both are there (client-go). */
  certificates: KubeconfigCertificate[];
}

/**
 * Checks a kubeconfig and takes out the certificates of its current context.
 *
 * @throws NotUnderstood with the line when it is no kubeconfig, or its context, cluster or user is missing
 */
export function parseKubeconfig(file: SourceFile): Kubeconfig {
  const yaml = parseYamlFile(file);
  const current = yaml.document.get('current-context');
  if (typeof current !== 'string' || current === '') {
    throw new NotUnderstood('the kubeconfig has no current-context', { path: file.path, line: 1 });
  }
  const context = entry(file, yaml, 'contexts', 'context', current);
  const cluster = entry(file, yaml, 'clusters', 'cluster', textOf(file, yaml, context, 'cluster'));
  const user = entry(file, yaml, 'users', 'user', textOf(file, yaml, context, 'user'));
  const certificates = [
    ...certificateIn(file, yaml, user, 'client-certificate'),
    ...certificateIn(file, yaml, cluster, 'certificate-authority'),
  ];
  return { server: textOf(file, yaml, cluster, 'server'), certificates };
}

/**
 * The certificates of all its users and clusters, for a kubeconfig that is read without its current context.
 *
 * @throws NotUnderstood with the line when it is no YAML mapping, or something else than text stands where a certificate belongs
 */
export function allKubeconfigCertificates(file: SourceFile): KubeconfigCertificate[] {
  const yaml = parseYamlFile(file);
  const inAll = (list: string, field: string, key: 'client-certificate' | 'certificate-authority') => {
    const items = yaml.document.get(list);
    return (isSeq(items) ? items.items : []).flatMap((item) =>
      isMap(item) ? certificateIn(file, yaml, item.get(field), key) : [],
    );
  };
  return [...inAll('users', 'user', 'client-certificate'), ...inAll('clusters', 'cluster', 'certificate-authority')];
}

/** The mapping under `field` of the entry with this name in a list of a kubeconfig. */
function entry(file: SourceFile, yaml: YamlFile, list: string, field: string, name: string): unknown {
  const items = yaml.document.get(list);
  const found = isSeq(items) ? items.items.find((item) => isMap(item) && item.get('name') === name) : undefined;
  const value = isMap(found) ? found.get(field) : undefined;
  if (isMap(value)) return value;
  const line = yaml.lineOf(found ?? items);
  throw new NotUnderstood(`the kubeconfig has no ${field} "${name}" in ${list}`, { path: file.path, line });
}

function textOf(file: SourceFile, yaml: YamlFile, map: unknown, key: string): string {
  const value = isMap(map) ? map.get(key) : undefined;
  if (value === undefined || value === null) return '';
  if (typeof value === 'string') return value;
  throw new NotUnderstood(`${key} is no text`, {
    path: file.path,
    line: yaml.lineOf(isMap(map) ? map.get(key, true) : map),
  });
}

function certificateIn(
  file: SourceFile,
  yaml: YamlFile,
  map: unknown,
  key: 'client-certificate' | 'certificate-authority',
): KubeconfigCertificate[] {
  const data = textOf(file, yaml, map, `${key}-data`);
  if (data !== '') return [{ key: `${key}-data`, value: data }];
  const path = textOf(file, yaml, map, key);
  // client-go resolves relative paths from the kubeconfig's folder
  return path === '' ? [] : [{ key, value: isAbsolute(path) ? path : join(dirname(file.path), path) }];
}
