/** Listeners of a component that ask nobody for a certificate, also once it is called enforced: they stay, and the plan tells of them. */
import type {
  Detected,
  DetectedApiserver,
  DetectedEtcd,
  DetectedKubelet,
  DetectedManager,
  DetectedProxy,
} from '../detect/detected.ts';
import { lastFlag } from '../detect/flags.ts';
import { minorOf } from '../detect/minor-version.ts';
import { isLoopback } from '../journal/host-port.ts';
import { configSetting, kubeletSetting } from '../verify/endpoints.ts';
import { effectiveSetting, urlSettings } from './etcd-settings.ts';
import { splitUrls } from './etcd-urls.ts';

/** Kubernetes' ports without TLS: their default, and the minor version of 1.x since which there are none. */
const insecurePorts = {
  'kube-apiserver': { flag: 'insecure-port', port: '8080', until: 20 },
  'kube-controller-manager': { flag: 'port', port: '10252', until: 22 },
  'kube-scheduler': { flag: 'port', port: '10251', until: 23 },
} as const;

/** What a scheduler listens on by its configuration file where that names nothing, or no address (v1beta1/defaults.go, 1.21). */
const SCHEDULER_DEFAULT = '0.0.0.0:10251';

/** The minor version of 1.x since which a kubelet has no port for cAdvisor. */
const CADVISOR_UNTIL = 12;

/** A sentence for each. */
export function openListeners(detected: Detected): string[] {
  switch (detected.component) {
    case 'etcd':
      return openEtcd(detected);
    case 'kube-apiserver':
    case 'kube-controller-manager':
      return openPort(detected);
    case 'kube-scheduler':
      return detected.config === undefined ? openPort(detected) : openScheduler(detected, detected.config.text);
    case 'kubelet':
      return openKubelet(detected);
    case 'kube-proxy':
      return openProxy(detected);
    case 'admin':
      return [];
  }
}

function openEtcd(etcd: DetectedEtcd): string[] {
  const metrics = splitUrls(effectiveSetting(etcd, 'listen-metrics-urls')).filter((url) => /^(http|unix):/i.test(url));
  const sockets = urlSettings.flatMap((name) =>
    splitUrls(effectiveSetting(etcd, name))
      .filter((url) => /^unix:/i.test(url))
      .map((url) => `--${name}=${url} stays: a unix socket asks nobody for a certificate`),
  );
  return [
    ...metrics.map((url) => `--listen-metrics-urls=${url} stays: it tells metrics and health without a certificate`),
    ...sockets,
  ];
}

/** Of a program whose version is not known it cannot be told that it has no such port any more. */
function openPort({ component, effectiveFlags, version }: DetectedApiserver | DetectedManager): string[] {
  const { flag, port: byDefault, until } = insecurePorts[component];
  const minor = minorOf(version);
  const given = lastFlag(effectiveFlags, flag);
  const port = given ?? byDefault;
  if (port === '0' || (minor !== undefined && minor >= until)) return [];
  if (minor === undefined && given === undefined) {
    return [
      `--${flag}=${port} may be open, and it asks nobody for a certificate: the version is not known; set --${flag}=0 if it is older than 1.${until}`,
    ];
  }
  return [`--${flag}=${port} stays: it asks nobody for a certificate; set --${flag}=0`];
}

/** With a configuration file --port counts for nothing, and no address in the file closes the port (kubernetes#109900). */
function openScheduler({ version }: DetectedManager, config: string): string[] {
  const minor = minorOf(version);
  if (minor === undefined || minor >= insecurePorts['kube-scheduler'].until) return [];
  return ['healthzBindAddress', 'metricsBindAddress'].map((key) => {
    const given = configSetting(config, key) ?? '';
    const address = given === '' ? SCHEDULER_DEFAULT : given;
    const advice = isLoopback(address.replace(/:\d+$/, '')) ? '' : `; set ${key}: 127.0.0.1:10251 in that file`;
    return `${key}=${address} stays: it asks nobody for a certificate, and --port counts for nothing beside --config${advice}`;
  });
}

function openKubelet(kubelet: DetectedKubelet): string[] {
  const setting = (flag: string, key: string) => lastFlag(kubelet.effectiveFlags, flag) ?? kubeletSetting(kubelet, key);
  // without a configuration file the port is open by default (kubelet, applyLegacyDefaults)
  const readOnly = setting('read-only-port', 'readOnlyPort') ?? (kubelet.config === undefined ? '10255' : '0');
  const minor = minorOf(kubelet.version);
  const hasCadvisor = minor !== undefined && minor < CADVISOR_UNTIL;
  const cadvisor = lastFlag(kubelet.effectiveFlags, 'cadvisor-port') ?? (hasCadvisor ? '4194' : '0');
  const healthPort = setting('healthz-port', 'healthzPort') ?? '10248';
  const health = setting('healthz-bind-address', 'healthzBindAddress') ?? '127.0.0.1';
  return [
    ...(readOnly === '0'
      ? []
      : [`--read-only-port=${readOnly} stays: it tells pods and metrics without a certificate; set it to 0`]),
    ...(cadvisor === '0'
      ? []
      : [`--cadvisor-port=${cadvisor} stays: it tells metrics without a certificate; set it to 0`]),
    ...(healthPort === '0' || isLoopback(health)
      ? []
      : [`--healthz-bind-address=${health}:${healthPort} stays: it tells health without a certificate`]),
  ];
}

/** It serves nothing over TLS. With a configuration file its flags for these count for nothing (kubernetes#108737). */
function openProxy({ effectiveFlags, config }: DetectedProxy): string[] {
  const listeners = [
    { what: 'metrics', byDefault: '127.0.0.1:10249' },
    { what: 'healthz', byDefault: '0.0.0.0:10256' },
  ];
  return listeners.flatMap(({ what, byDefault }) => {
    const tells = `stays: it tells ${what === 'healthz' ? 'health' : what} without a certificate`;
    if (config !== undefined) {
      const key = `${what}BindAddress`;
      const address = configSetting(config.text, key) ?? '';
      return [`${key}=${address === '' ? byDefault : address} ${tells}`];
    }
    const address = lastFlag(effectiveFlags, `${what}-bind-address`) ?? byDefault;
    if (address === '' || lastFlag(effectiveFlags, `${what}-port`) === '0') return [];
    return [`--${what}-bind-address=${address} ${tells}`];
  });
}
