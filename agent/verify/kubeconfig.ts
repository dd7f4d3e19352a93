/** Reads what a component's kubeconfig says about its connection: server, trust and client certificate. */
import { dirname, resolve } from 'node:path';
import { z } from 'zod';
import { AppError, messageOf } from '../../common/errors/app-error.ts';
import { foreignYamlValue } from '../detect/parse-yaml.ts';
import { readCredentialFiles, readPem } from './credentials.ts';
import { type Endpoint, endpointOfUrl } from './endpoints.ts';
import type { ClientCredentials } from './probe.ts';

/** A PEM text that stands in the file, or in another one. */
type PemSource = { pem: string } | { path: string } | undefined;

/** The connection of the current context. */
export interface KubeconfigConnection {
  /** Where the API server is; `name` is tls-server-name where that is given. */
  server: Endpoint;
  roots: PemSource;
  certificate: PemSource;
  key: PemSource;
}

const cluster = z.object({
  server: z.string(),
  'certificate-authority': z.string().optional(),
  'certificate-authority-data': z.string().optional(),
  'tls-server-name': z.string().optional(),
});
const user = z.object({
  'client-certificate': z.string().optional(),
  'client-certificate-data': z.string().optional(),
  'client-key': z.string().optional(),
  'client-key-data': z.string().optional(),
});
const kubeconfig = z.object({
  'current-context': z.string(),
  contexts: z.array(z.object({ name: z.string(), context: z.object({ cluster: z.string(), user: z.string() }) })),
  clusters: z.array(z.object({ name: z.string(), cluster })),
  users: z.array(z.object({ name: z.string(), user })),
});

/**
 * Parses the text of a kubeconfig. Relative paths are relative to its folder, as for kubectl.
 *
 * @throws AppError invalid-request when it is no kubeconfig or has no current context
 */
export function parseKubeconfig(file: { path: string; text: string }): KubeconfigConnection {
  const refuse = (why: string) => new AppError('invalid-request', `${file.path} cannot be used as kubeconfig: ${why}`);
  let document: unknown;
  try {
    document = foreignYamlValue(file.text);
  } catch (error) {
    throw refuse(messageOf(error).split('\n')[0] ?? '');
  }
  const parsed = kubeconfig.safeParse(document);
  if (!parsed.success) throw refuse(z.prettifyError(parsed.error).split('\n')[0] ?? '');
  const { contexts, clusters, users, 'current-context': current } = parsed.data;
  const context = contexts.find(({ name }) => name === current)?.context;
  const itsCluster = clusters.find(({ name }) => name === context?.cluster)?.cluster;
  const itsUser = users.find(({ name }) => name === context?.user)?.user;
  if (itsCluster === undefined || itsUser === undefined) throw refuse('its current-context leads nowhere');
  const server = endpointOfUrl(itsCluster.server);
  if (server === undefined) throw refuse(`its server "${itsCluster.server}" is no http or https URL`);

  const folder = dirname(file.path);
  const source = (data: string | undefined, path: string | undefined): PemSource => {
    // Data win over a path (client-go, tools/clientcmd/api/types.go).
    if (data !== undefined && data !== '') return { pem: Buffer.from(data, 'base64').toString() };
    return path === undefined || path === '' ? undefined : { path: resolve(folder, path) };
  };
  return {
    server: { ...server, name: itsCluster['tls-server-name'] ?? server.name },
    roots: source(itsCluster['certificate-authority-data'], itsCluster['certificate-authority']),
    certificate: source(itsUser['client-certificate-data'], itsUser['client-certificate']),
    key: source(itsUser['client-key-data'], itsUser['client-key']),
  };
}

/**
 * The roots and the client certificate of a connection, as they are now.
 *
 * @returns undefined where the kubeconfig names none
 * @throws AppError not-found when a file that it names cannot be read
 */
export async function readConnection(
  connection: KubeconfigConnection,
): Promise<{ rootsPem: string | undefined; client: ClientCredentials | undefined }> {
  const { roots, certificate, key } = connection;
  const rootsPem = roots === undefined ? undefined : await pemOf(roots);
  if (certificate === undefined || key === undefined) return { rootsPem, client: undefined };
  if ('path' in certificate && 'path' in key) {
    return { rootsPem, client: await readCredentialFiles(certificate.path, key.path) };
  }
  return { rootsPem, client: { certPem: await pemOf(certificate), keyPem: await pemOf(key) } };
}

async function pemOf(source: { pem: string } | { path: string }): Promise<string> {
  return 'pem' in source ? source.pem : readPem(source.path);
}
