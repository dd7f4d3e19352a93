/** What the operator says to `kube-mtls-server init`, and what it means as a configuration. */
import { AppError } from '../../common/errors/app-error.ts';
import { type ConfigOptions, renderServerConfig } from '../config/render-server-config.ts';
import { parseServerConfig, type ServerConfig } from '../config/server-config.ts';

/** Options of `kube-mtls-server init`, as given on the command line. */
export interface InitOptions {
  /** --cluster: also the trust domain of identities. */
  cluster: string;
  /** --api-endpoint, HOST:PORT at which clients reach the API server. */
  apiEndpoint: string;
  /** --service-cidr, by default 10.96.0.0/12. */
  serviceCidr: string;
  /** --dns-domain, by default cluster.local. */
  dnsDomain: string;
  /** --nodes: how many will join, see cluster.nodes of server.yaml; undefined when nobody knows. */
  nodes?: number | undefined;
  /** --adopt: kubeadm's folder of an existing cluster whose CAs are imported; undefined makes new ones. */
  adopt: string | undefined;
  /** --trust-old: the same folder, of whose CAs only the roots are trusted until the nodes have moved to new ones. */
  trustOld?: string | undefined;
  /** --advertise: hosts at which nodes reach this server; empty lets init choose. */
  advertise: readonly string[];
}

/** A configuration as text and as it reads. */
export interface WantedConfig {
  yaml: string;
  config: ServerConfig;
}

/** What the options alone do not say. */
export type FoundSettings = Pick<
  ConfigOptions,
  'advertise' | 'stateFolder' | 'apiServerExtraNames' | 'kubeletClientOrganization' | 'adminOrganization'
>;

/**
 * The configuration that the options ask for.
 *
 * @throws AppError invalid-request naming the settings that cannot be
 */
export function wantedConfig(options: InitOptions, found: FoundSettings): WantedConfig {
  const yaml = renderServerConfig({
    clusterName: options.cluster,
    apiEndpoint: options.apiEndpoint,
    serviceCidr: options.serviceCidr,
    dnsDomain: options.dnsDomain,
    nodes: options.nodes,
    ...found,
  });
  try {
    return { yaml, config: parseServerConfig(yaml, 'options') };
  } catch (error) {
    const { reason, message } = AppError.from(error);
    // lines of a file that is not there help nobody
    throw new AppError(reason, `the options of init cannot be used: ${message.replace(/\boptions:\d+: /g, '')}`, {
      cause: error,
    });
  }
}

/**
 * Compares what the options ask for with the configuration that is there. What the operator did not say, or edits in the
 * file afterwards, does not count.
 *
 * @throws AppError conflict naming each setting that differs
 */
export function assertSameConfig(options: InitOptions, existing: ServerConfig, configFile: string): void {
  const { config: wanted } = wantedConfig(options, {
    advertise: options.advertise.length > 0 ? advertised(options.advertise) : existing.advertise,
    stateFolder: existing.stateFolder,
    apiServerExtraNames: [],
    kubeletClientOrganization: existing.apiServer.kubeletClientOrganization,
    adminOrganization: existing.apiServer.adminOrganization,
  });
  const rows: [setting: string, there: string, asked: string][] = [
    ['cluster.name', existing.cluster.name, wanted.cluster.name],
    ['cluster.apiEndpoint', existing.cluster.apiEndpoint, wanted.cluster.apiEndpoint],
    ['cluster.serviceCidr', existing.cluster.serviceCidr, wanted.cluster.serviceCidr],
    ['cluster.dnsDomain', existing.cluster.dnsDomain, wanted.cluster.dnsDomain],
    ['cluster.nodes', String(existing.cluster.nodes), String(wanted.cluster.nodes ?? existing.cluster.nodes)],
    ['advertise', existing.advertise.join(', '), wanted.advertise.join(', ')],
  ];
  const differences = rows
    .filter(([, there, asked]) => there !== asked)
    .map(([setting, there, asked]) => `${setting} is ${there} there and ${asked} here`);
  if (differences.length === 0) return;
  throw new AppError(
    'conflict',
    `${configFile} is there already and differs (${differences.join('; ')}): init overwrites nothing; edit that file and restart kube-mtls-server, or give the same options`,
  );
}

/** The hosts without repetitions. The list must not be empty. */
function advertised(hosts: readonly string[]): [string, ...string[]] {
  const [first = '', ...others] = new Set(hosts);
  return [first, ...others];
}
