/** A kubeconfig (client.authentication.k8s.io, v1 Config): what its current context uses, and with our files in it. */
import { dirname, isAbsolute, join } from 'node:path';
import { z } from 'zod';
import { AppError } from '../../common/errors/app-error.ts';
import { editYaml, parseYaml, type YamlEdit, type YamlPath } from './edit-yaml.ts';

/** Files that the user of the current context shall use, absolute paths. */
export interface KubeconfigFiles {
  clientCertificate: string;
  clientKey: string;
  certificateAuthority: string;
}

/** The roots by which the API server is verified now: in the text, in a file, or none (the host's own). */
export type KubeconfigRoots = { pem: string } | { path: string } | undefined;

const text = z.string().nullish();
const schema = z.looseObject({
  'current-context': text,
  contexts: z
    .array(z.looseObject({ name: z.string(), context: z.looseObject({ cluster: text, user: text }).nullish() }))
    .nullish(),
  clusters: z.array(z.looseObject({ name: z.string(), cluster: z.looseObject({}).nullish() })).nullish(),
  users: z.array(z.looseObject({ name: z.string(), user: z.looseObject({}).nullish() })).nullish(),
});

/** Ways to prove who one is that are not a certificate; client-go would prefer or add them. */
const otherCredentials = ['exec', 'auth-provider', 'token', 'tokenFile', 'username', 'password'];

/** Where the current context's parts stand. */
interface Current {
  cluster: { path: YamlPath; value: Record<string, unknown> };
  user: { path: YamlPath; value: Record<string, unknown> };
}

/**
 * The text with the user of the current context reading certificate and key from files, and its cluster the roots. Files
 * are read anew by client-go, embedded data never is. Everything else stays; done twice it changes nothing.
 *
 * @throws AppError invalid-request for a user with a token or a plugin, for a cluster that is not verified, and for what is no kubeconfig
 */
export function editKubeconfig(kubeconfig: string, files: KubeconfigFiles): string {
  const { cluster, user } = findCurrent(kubeconfig);
  const other = otherCredentials.find((key) => user.value[key] !== undefined);
  if (other !== undefined) {
    throw refused(`its user authenticates by ${other}: give it a client certificate first`);
  }
  if (cluster.value['insecure-skip-tls-verify'] === true) {
    throw refused('it skips the verification of the API server: set certificate-authority first');
  }
  if (!String(cluster.value.server).startsWith('https://')) throw refused('its server is not https: correct it first');
  return editYaml(kubeconfig, [
    ...fileInPlaceOf(cluster, 'certificate-authority', files.certificateAuthority),
    ...fileInPlaceOf(user, 'client-certificate', files.clientCertificate),
    ...fileInPlaceOf(user, 'client-key', files.clientKey),
  ]);
}

/**
 * The roots that the current context uses; embedded ones win over a file, as in client-go. A relative path is relative to
 * the kubeconfig's folder.
 *
 * @throws AppError invalid-request
 */
export function rootsOfKubeconfig(kubeconfig: string, kubeconfigPath: string): KubeconfigRoots {
  const { value } = findCurrent(kubeconfig).cluster;
  const data = value['certificate-authority-data'];
  const path = value['certificate-authority'];
  if (typeof data === 'string' && data !== '') return { pem: Buffer.from(data, 'base64').toString('latin1') };
  if (typeof path !== 'string' || path === '') return undefined;
  return { path: isAbsolute(path) ? path : join(dirname(kubeconfigPath), path) };
}

function findCurrent(kubeconfig: string): Current {
  const parsed = schema.safeParse(parseYaml(kubeconfig).toJS());
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    throw refused(`${issue?.path.join('.') || 'it'} is not as in a kubeconfig: ${issue?.message.toLowerCase()}`);
  }
  const { contexts, clusters, users } = parsed.data;
  const name = parsed.data['current-context'];
  const context = contexts?.find((entry) => entry.name === name)?.context;
  if (context === undefined || context === null)
    throw refused(`its current-context ${name ?? ''} is not there: set it`);
  const clusterAt = clusters?.findIndex((entry) => entry.name === context.cluster) ?? -1;
  const userAt = users?.findIndex((entry) => entry.name === context.user) ?? -1;
  if (clusterAt < 0) throw refused(`the cluster ${context.cluster ?? ''} of its current context is not there: add it`);
  if (userAt < 0) throw refused(`the user ${context.user ?? ''} of its current context is not there: add it`);
  return {
    cluster: { path: ['clusters', clusterAt, 'cluster'], value: clusters?.[clusterAt]?.cluster ?? {} },
    user: { path: ['users', userAt, 'user'], value: users?.[userAt]?.user ?? {} },
  };
}

/** The file takes the line of the embedded data where there is any. */
function fileInPlaceOf({ path, value }: Current['user'], key: string, file: string): YamlEdit[] {
  const dataKey = `${key}-data`;
  const set: YamlEdit = { kind: 'set', path: [...path, key], to: file };
  if (value[dataKey] === undefined) return [set];
  if (value[key] !== undefined) return [set, { kind: 'remove', path: [...path, dataKey] }];
  return [{ kind: 'rename', path: [...path, dataKey], to: key }, set];
}

function refused(why: string): AppError {
  return new AppError('invalid-request', why);
}
