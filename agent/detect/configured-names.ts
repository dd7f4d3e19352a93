/** Configurations of the API server and the scheduler that name certificates or kubeconfigs: what each names. */
import { dirname, isAbsolute, join } from 'node:path';
import { z } from 'zod';
import type { DetectedApiserver, DetectedManager, SourceFile } from './detected.ts';

/** A kubeconfig or a certificate that a configuration names, by its place there. */
export type Named =
  | { key: string; kubeconfig: string; users?: 'all' }
  | { key: string; path: string }
  | { key: string; data: string };

/**
 * What a configuration names.
 *
 * @param read the value of another file, by its path
 * @throws ZodError where the configuration has another form, and what read throws
 */
export type Reader = (value: unknown, file: SourceFile, read: (path: string) => Promise<unknown>) => Promise<Named[]>;

const text = z.string().nullish();
const list = <T extends z.ZodType>(item: T) => z.array(item).nullish();
const tlsFiles = z.object({ caBundle: text, clientCert: text }).nullish();

const egressSchema = z.object({
  egressSelections: list(
    z.object({
      connection: z
        .object({
          transport: z.object({ tcp: z.object({ tlsConfig: tlsFiles }).nullish() }).nullish(),
          /** apiserver.k8s.io/v1alpha1 of 1.17. */
          httpConnect: tlsFiles,
        })
        .nullish(),
    }),
  ),
});
const authorizationSchema = z.object({
  authorizers: list(
    z.object({ webhook: z.object({ connectionInfo: z.object({ kubeConfigFile: text }).nullish() }).nullish() }),
  ),
});
const authenticationSchema = z.object({
  jwt: list(z.object({ issuer: z.object({ certificateAuthority: text }).nullish() })),
});
/** Of ImagePolicyWebhook, and of the admission by webhooks of the API. */
const pluginSchema = z.object({ kubeConfigFile: text, imagePolicy: z.object({ kubeConfigFile: text }).nullish() });
const admissionSchema = pluginSchema.extend({
  plugins: list(z.object({ name: z.string(), path: text, configuration: z.unknown().optional() })),
});
const schedulerSchema = z.object({
  extenders: list(
    z.object({ tlsConfig: z.object({ caFile: text, certFile: text, caData: text, certData: text }).nullish() }),
  ),
});

/** Configurations by the component and the flag that names them. */
export const configurations: readonly {
  flag: string;
  component: (DetectedApiserver | DetectedManager)['component'];
  names: Reader;
}[] = [
  { flag: 'authorization-config', component: 'kube-apiserver', names: authorizationNames },
  { flag: 'authentication-config', component: 'kube-apiserver', names: authenticationNames },
  { flag: 'admission-control-config-file', component: 'kube-apiserver', names: admissionNames },
  { flag: 'egress-selector-config-file', component: 'kube-apiserver', names: egressNames },
  { flag: 'config', component: 'kube-scheduler', names: schedulerNames },
];

async function authorizationNames(value: unknown): Promise<Named[]> {
  const { authorizers } = authorizationSchema.parse(value);
  return (authorizers ?? []).map(({ webhook }) => ({
    key: 'kubeConfigFile',
    kubeconfig: webhook?.connectionInfo?.kubeConfigFile ?? '',
  }));
}

/** The roots of an issuer stand in the file itself, as PEM. */
async function authenticationNames(value: unknown): Promise<Named[]> {
  const { jwt } = authenticationSchema.parse(value);
  return (jwt ?? []).flatMap(({ issuer }) => {
    const pem = issuer?.certificateAuthority ?? '';
    return pem === '' ? [] : [{ key: 'certificateAuthority', data: Buffer.from(pem).toString('base64') }];
  });
}

/** Plugins are configured in the file or in others beside it; up to 1.36 the file may be ImagePolicyWebhook's own (apiserver, admission/config.go). */
async function admissionNames(
  value: unknown,
  file: SourceFile,
  read: (path: string) => Promise<unknown>,
): Promise<Named[]> {
  const { plugins, ...own } = admissionSchema.parse(value);
  const names = pluginNames(own, '');
  for (const { name, path, configuration } of plugins ?? []) {
    const place = path ?? '';
    const other = async () =>
      place === '' ? {} : await read(isAbsolute(place) ? place : join(dirname(file.path), place));
    names.push(...pluginNames(pluginSchema.parse(configuration ?? (await other()) ?? {}), `${name} `));
  }
  return names;
}

/** Users of a webhook admission's kubeconfig are called as the webhooks' hosts, and none of them is current. */
function pluginNames({ kubeConfigFile, imagePolicy }: z.infer<typeof pluginSchema>, plugin: string): Named[] {
  return [
    { key: `${plugin}kubeConfigFile`, kubeconfig: kubeConfigFile ?? '', users: 'all' },
    { key: `${plugin}kubeConfigFile`, kubeconfig: imagePolicy?.kubeConfigFile ?? '' },
  ];
}

async function egressNames(value: unknown): Promise<Named[]> {
  const { egressSelections } = egressSchema.parse(value);
  return (egressSelections ?? []).flatMap(({ connection }) =>
    [connection?.transport?.tcp?.tlsConfig, connection?.httpConnect].flatMap((files) => [
      { key: 'caBundle', path: files?.caBundle ?? '' },
      { key: 'clientCert', path: files?.clientCert ?? '' },
    ]),
  );
}

async function schedulerNames(value: unknown): Promise<Named[]> {
  const { extenders } = schedulerSchema.parse(value);
  return (extenders ?? []).flatMap(({ tlsConfig }) => [
    { key: 'extenders caFile', path: tlsConfig?.caFile ?? '' },
    { key: 'extenders certFile', path: tlsConfig?.certFile ?? '' },
    ...embedded('extenders caData', tlsConfig?.caData),
    ...embedded('extenders certData', tlsConfig?.certData),
  ]);
}

function embedded(key: string, data: string | null | undefined): Named[] {
  return data === undefined || data === null || data === '' ? [] : [{ key, data }];
}
