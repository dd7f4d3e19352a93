/** A kubeconfig (client.authentication.k8s.io, v1 Config): what its current context uses, and with our files in it. */
import { dirname, isAbsolute, join } from 'node:path';
import { z } from 'zod';
import { AppError } from '../../common/errors/app-error.ts';
import { isTrue } from '../detect/yaml-file.ts';
import { editYaml, parseYaml, type YamlEdit, type YamlPath } from './edit-yaml.ts';

/** What the current context shall use: absolute paths of files, or the data itself in base64. */
export interface KubeconfigParts {
  certificateAuthority: string;
  /** Of the user; undefined leaves the user as it is. */
  client: { certificate: string; key: string } | undefined;
}

/** What the current context uses that stands in the kubeconfig itself, PEM; undefined for what stands elsewhere. */
export interface EmbeddedParts {
  certificateAuthority: string | undefined;
  certificate: string | undefined;
  key: string | undefined;
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
export function editKubeconfig(kubeconfig: string, files: KubeconfigParts): string {
  return edit(kubeconfig, files, fileInPlaceOf);
}

/**
 * The text with certificate, key and roots in it, for kubeconfigs that people copy. Everything else stays, as with
 * {@link editKubeconfig}, whose refusals it shares.
 *
 * @throws AppError invalid-request
 */
export function editEmbeddedKubeconfig(kubeconfig: string, data: KubeconfigParts): string {
  return edit(kubeconfig, data, dataInPlaceOf);
}

/**
 * What the current context has embedded.
 *
 * @throws AppError invalid-request
 */
export function embeddedParts(kubeconfig: string): EmbeddedParts {
  const { cluster, user } = findCurrent(kubeconfig);
  return {
    certificateAuthority: decoded(cluster, 'certificate-authority'),
    certificate: decoded(user, 'client-certificate'),
    key: decoded(user, 'client-key'),
  };
}

/**
 * The roots that the current context uses; embedded ones win over a file, as in client-go. A relative path is relative to
 * the kubeconfig's folder.
 *
 * @throws AppError invalid-request
 */
export function rootsOfKubeconfig(kubeconfig: string, kubeconfigPath: string): KubeconfigRoots {
  const { cluster } = findCurrent(kubeconfig);
  const pem = decoded(cluster, 'certificate-authority');
  const path = cluster.value['certificate-authority'];
  if (pem !== undefined) return { pem };
  if (typeof path !== 'string' || path === '') return undefined;
  return { path: isAbsolute(path) ? path : join(dirname(kubeconfigPath), path) };
}

function edit(
  kubeconfig: string,
  { certificateAuthority, client }: KubeconfigParts,
  place: typeof fileInPlaceOf,
): string {
  const { cluster, user } = findCurrent(kubeconfig);
  const other = otherCredentials.find((key) => user.value[key] !== undefined);
  if (other !== undefined) {
    throw refused(`its user authenticates by ${other}: give it a client certificate first`);
  }
  if (isTrue(cluster.value['insecure-skip-tls-verify'])) {
    throw refused('it skips the verification of the API server: set certificate-authority first');
  }
  if (!String(cluster.value.server).startsWith('https://')) throw refused('its server is not https: correct it first');
  if (!cluster.value['certificate-authority'] && !cluster.value['certificate-authority-data']) {
    throw refused("it verifies the API server by the host's own roots: set certificate-authority first");
  }
  return editYaml(kubeconfig, [
    ...place(cluster, 'certificate-authority', certificateAuthority),
    ...(client === undefined ? [] : place(user, 'client-certificate', client.certificate)),
    ...(client === undefined ? [] : place(user, 'client-key', client.key)),
  ]);
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

/** The data takes the line of the file where there is one. */
function dataInPlaceOf({ path, value }: Current['user'], key: string, data: string): YamlEdit[] {
  const dataKey = `${key}-data`;
  const set: YamlEdit = { kind: 'set', path: [...path, dataKey], to: data };
  if (value[key] === undefined) return [set];
  if (value[dataKey] !== undefined) return [set, { kind: 'remove', path: [...path, key] }];
  return [{ kind: 'rename', path: [...path, key], to: dataKey }, set];
}

function decoded({ value }: Current['user'], key: string): string | undefined {
  const data = value[`${key}-data`];
  return typeof data === 'string' && data !== '' ? Buffer.from(data, 'base64').toString('latin1') : undefined;
}

function refused(why: string): AppError {
  return new AppError('invalid-request', why);
}
