/** Where the components of this node serve, as seen from the node itself, and under which names. */
import { isIP } from 'node:net';
import type { DetectedApiserver, DetectedEtcd, DetectedKubelet, DetectedManager } from '../detect/detected.ts';
import { foreignYamlValue } from '../detect/parse-yaml.ts';
import type { Target } from '../plan/change.ts';

/** An address to connect to, and a name that the certificate served there has to be valid for. */
export interface Endpoint {
  scheme: 'http' | 'https';
  /** IP address or name to connect to, without brackets. */
  host: string;
  port: number;
  /** DNS name or IP address to verify. */
  name: string;
}

/** etcd's own defaults for `localhost` (etcd 3.4 to 3.6, embed/config.go). */
const ETCD_CLIENT_DEFAULT = 'http://localhost:2379';
const ETCD_PEER_DEFAULT = 'http://localhost:2380';

/** Kubernetes' own defaults of --secure-port. */
const MANAGER_PORT = { 'kube-controller-manager': 10257, 'kube-scheduler': 10259 } as const;

/** Settings of an etcd member by flag name: those of a plan, or those in force. */
type EtcdSettings = DetectedEtcd['settings'];

/** Where a member listens for clients. Once `enforced`, every URL is https whatever the settings say. */
export function etcdClientEndpoints(settings: EtcdSettings, target: Target): Endpoint[] {
  const listen = settings.get('listen-client-urls')?.value ?? ETCD_CLIENT_DEFAULT;
  return listeners(listen, settings.get('advertise-client-urls')?.value, target);
}

/** Where a member answers HTTP to its clients: at listen-client-http-urls alone where that is set (etcd 3.5.10 and later). */
export function etcdHttpEndpoints(settings: EtcdSettings, target: Target): Endpoint[] {
  const apart = listeners(
    settings.get('listen-client-http-urls')?.value ?? '',
    settings.get('advertise-client-urls')?.value,
    target,
  );
  return apart.length > 0 ? apart : etcdClientEndpoints(settings, target);
}

/** Where a member listens for peers. Once `enforced`, every URL is https whatever the settings say. */
export function etcdPeerEndpoints(settings: EtcdSettings, target: Target): Endpoint[] {
  const listen = settings.get('listen-peer-urls')?.value ?? ETCD_PEER_DEFAULT;
  return listeners(listen, settings.get('initial-advertise-peer-urls')?.value, target);
}

/**
 * Where an API server listens: one endpoint, by the name that it advertises. It binds all addresses unless told
 * otherwise, and its certificate need not name a loopback address (kubeadm's does not).
 */
export function apiserverEndpoints(detected: DetectedApiserver): Endpoint[] {
  const flag = (name: string) => detected.flags.get(name)?.at(-1);
  const bind = flag('bind-address') ?? '0.0.0.0';
  const port = Number(flag('secure-port') ?? '6443');
  const name = flag('advertise-address') ?? (isWildcard(bind) ? 'kubernetes' : bind);
  return [{ scheme: 'https', host: reachable(bind), port, name }];
}

/** Where a kubelet listens, once by the name of its node and once by its address where that is set. */
export function kubeletEndpoints(detected: DetectedKubelet): Endpoint[] {
  const flag = (name: string) => detected.flags.get(name)?.at(-1);
  const bind = flag('address') ?? kubeletSetting(detected, 'address') ?? '0.0.0.0';
  const port = Number(flag('port') ?? kubeletSetting(detected, 'port') ?? '10250');
  const nodeAddresses = (flag('node-ip') ?? '').split(',').filter((ip) => isIP(ip) !== 0 && !isWildcard(ip));
  return [detected.nodeName, ...nodeAddresses].map((name) => ({ scheme: 'https', host: reachable(bind), port, name }));
}

/** What a kubelet's configuration says at its top: its drop-ins win over the file, and the last of them over the others. */
export function kubeletSetting(detected: DetectedKubelet, key: string): string | undefined {
  const { config, configDropIns, configDropIn } = detected;
  // files apply in the order of their names (kubelet, --config-dir)
  const dropIns = [...configDropIns, ...(configDropIn === undefined ? [] : [configDropIn])].sort((a, b) =>
    a.path < b.path ? -1 : 1,
  );
  const files = config === undefined ? dropIns : [config, ...dropIns];
  return files.map(({ text }) => configSetting(text, key)).findLast((value) => value !== undefined);
}

/**
 * Where a controller manager or a scheduler serves; nowhere with --secure-port=0. Its certificate names loopback, so that a
 * listener on all addresses is verified by that.
 */
export function managerEndpoints(detected: DetectedManager): Endpoint[] {
  const flag = (name: string) => detected.flags.get(name)?.at(-1);
  const port = Number(flag('secure-port') ?? MANAGER_PORT[detected.component]);
  if (port === 0) return [];
  const host = reachable(flag('bind-address') ?? '0.0.0.0');
  return [{ scheme: 'https', host, port, name: host }];
}

/** "host:port" with brackets where the host is an IPv6 address. */
export function hostPort(endpoint: { host: string; port: number }): string {
  return isIP(endpoint.host) === 6 ? `[${endpoint.host}]:${endpoint.port}` : `${endpoint.host}:${endpoint.port}`;
}

/** Parses "host:port", also "[v6]:port" and a host alone; undefined when it is neither. */
export function parseHostPort(text: string, defaultPort: number): { host: string; port: number } | undefined {
  if (isIP(text) === 6) return { host: text, port: defaultPort };
  const url = URL.parse(`tcp://${text}`);
  if (url === null || url.hostname === '' || url.pathname !== '' || url.username !== '') return undefined;
  return { host: withoutBrackets(url.hostname), port: url.port === '' ? defaultPort : Number(url.port) };
}

/** Endpoint of an http or https URL; undefined for others, for example unix sockets. */
export function endpointOfUrl(text: string): Endpoint | undefined {
  const url = URL.parse(text.trim());
  if (url === null || (url.protocol !== 'http:' && url.protocol !== 'https:')) return undefined;
  const scheme = url.protocol === 'https:' ? 'https' : 'http';
  const host = withoutBrackets(url.hostname);
  const port = url.port === '' ? (scheme === 'https' ? 443 : 80) : Number(url.port);
  return { scheme, host, port, name: host };
}

/** True for an address that stands for all addresses. */
export function isWildcard(host: string): boolean {
  return host === '0.0.0.0' || host === '::' || host === '';
}

/** A listener on all addresses is reached by loopback, and is verified by the name under which others know it. */
function listeners(listen: string, advertised: string | undefined, target: Target): Endpoint[] {
  const knownAs = endpointsOfUrls(advertised ?? '')
    .map((endpoint) => endpoint.host)
    .filter((host) => !isWildcard(host));
  return endpointsOfUrls(listen).flatMap((endpoint) => {
    const scheme = target === 'enforced' ? 'https' : endpoint.scheme;
    const host = reachable(endpoint.host);
    const names = isWildcard(endpoint.host) && knownAs.length > 0 ? knownAs : [host];
    return names.map((name) => ({ scheme, host, port: endpoint.port, name }));
  });
}

function endpointsOfUrls(list: string): Endpoint[] {
  return list.split(',').flatMap((url) => endpointOfUrl(url) ?? []);
}

/** Go listens on both families for either wildcard. */
function reachable(host: string): string {
  return isWildcard(host) ? '127.0.0.1' : host;
}

function withoutBrackets(host: string): string {
  return host.replace(/^\[|\]$/g, '');
}

/** What a configuration file, as YAML, says at its top; undefined for nothing, and for what is no plain value. */
export function configSetting(text: string, key: string): string | undefined {
  const config: unknown = foreignYamlValue(text);
  if (typeof config !== 'object' || config === null) return undefined;
  const value: unknown = Reflect.get(config, key);
  return ['string', 'number', 'boolean'].includes(typeof value) ? String(value) : undefined;
}
