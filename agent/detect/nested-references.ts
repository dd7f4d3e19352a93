/** Certificates that a component's flags name by way of further files: webhooks' kubeconfigs, admission, egress, extenders. */
import { z } from 'zod';
import { messageOf } from '../../common/errors/app-error.ts';
import type { Layout } from '../layout.ts';
import { type CertificateReference, kubeconfigReferences } from './certificate-references.ts';
import { configurations, type Named, type Reader } from './configured-names.ts';
import type { DetectedApiserver, DetectedManager, SourceFile } from './detected.ts';
import { lastFlag } from './flags.ts';
import { refuseHiddenPaths } from './hidden-paths.ts';
import { allKubeconfigCertificates } from './kubeconfig.ts';
import { readNamedFile } from './named-file.ts';
import { foreignYamlValue } from './parse-yaml.ts';

type Server = DetectedApiserver | DetectedManager;

/** Flags that name kubeconfigs of webhooks (kube-apiserver 1.20 to 1.36). */
const webhookFlags = [
  'authentication-token-webhook-config-file',
  'authorization-webhook-config-file',
  'audit-webhook-config-file',
] as const;

/**
 * The references, as they are in force. Nothing of it is changed, so what cannot be read or understood is one with its problem and keeps
 * nobody from anything.
 */
export async function nestedReferences(layout: Layout, server: Server): Promise<CertificateReference[]> {
  const { component, effectiveFlags } = server;
  const found: CertificateReference[] = [];
  if (component === 'kube-apiserver') {
    for (const flag of webhookFlags) {
      const kubeconfig = lastFlag(effectiveFlags, flag) ?? '';
      found.push(...(await resolve(layout, server, `--${flag}`, { key: '', kubeconfig })));
    }
  }
  for (const { flag, component: owner, names } of configurations) {
    const path = lastFlag(effectiveFlags, flag) ?? '';
    if (owner !== component || path === '') continue;
    found.push(...(await inConfiguration(layout, server, { flag, path, names })));
  }
  return found;
}

async function inConfiguration(
  layout: Layout,
  server: Server,
  { flag, path, names }: { flag: string; path: string; names: Reader },
): Promise<CertificateReference[]> {
  const by = `--${flag}`;
  try {
    const read = async (named: string) => {
      const file = await readNamedFile(layout, server.process, `a path in ${by}`, named);
      return file === undefined ? undefined : foreignYamlValue(file.text);
    };
    const file = await readNamedFile(layout, server.process, by, path);
    if (file === undefined) return [];
    const found = await names(foreignYamlValue(file.text), { ...file, path }, read);
    return (await Promise.all(found.map((one) => resolve(layout, server, by, one)))).flat();
  } catch (error) {
    return [{ consumer: `${server.component} ${by}`, path, problem: problemOf(error) }];
  }
}

/** What a name comes to: a certificate, or those of a kubeconfig. An empty one names nothing. */
async function resolve(layout: Layout, server: Server, by: string, named: Named): Promise<CertificateReference[]> {
  const consumer = [server.component, by, named.key].filter((part) => part !== '').join(' ');
  if ('data' in named)
    return [{ consumer, path: lastFlag(server.effectiveFlags, by.slice(2)) ?? '', data: named.data }];
  const path = 'kubeconfig' in named ? named.kubeconfig : named.path;
  try {
    if (path === '') return [];
    if ('path' in named) {
      refuseHiddenPaths(server.process, [{ by, path }]);
      return [{ consumer, path }];
    }
    const file = await readNamedFile(layout, server.process, by, path);
    if (file === undefined) return [];
    // certificates that it names by relative paths are looked for beside it
    return named.users === 'all' ? allReferences(consumer, file) : kubeconfigReferences(consumer, file);
  } catch (error) {
    return [{ consumer, path, problem: problemOf(error) }];
  }
}

function allReferences(consumer: string, file: SourceFile): CertificateReference[] {
  return allKubeconfigCertificates(file).map(({ key, value }) => ({
    consumer: `${consumer} ${key}`,
    ...(key.endsWith('-data') ? { path: file.path, data: value } : { path: value }),
  }));
}

function problemOf(error: unknown): string {
  if (!(error instanceof z.ZodError)) return messageOf(error);
  const [issue] = error.issues;
  return issue === undefined ? 'is not understood' : `${issue.path.join('.')}: ${issue.message}`;
}
