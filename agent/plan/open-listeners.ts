/** Listeners of a component that ask nobody for a certificate, also once it is called enforced: they stay, and the plan tells of them. */
import type {
  Detected,
  DetectedApiserver,
  DetectedEtcd,
  DetectedKubelet,
  DetectedManager,
} from '../detect/detected.ts';
import { lastFlag } from '../detect/flags.ts';
import { kubeletSetting } from '../verify/endpoints.ts';
import { effectiveSetting, urlSettings } from './etcd-settings.ts';
import { splitUrls } from './etcd-urls.ts';

/** Kubernetes' ports without TLS: their default, and the minor version of 1.x since which there are none. */
const insecurePorts = {
  'kube-apiserver': { flag: 'insecure-port', port: '8080', until: 20 },
  'kube-controller-manager': { flag: 'port', port: '10252', until: 22 },
  'kube-scheduler': { flag: 'port', port: '10251', until: 23 },
} as const;

/** A sentence for each. */
export function openListeners(detected: Detected): string[] {
  switch (detected.component) {
    case 'etcd':
      return openEtcd(detected);
    case 'kube-apiserver':
    case 'kube-controller-manager':
    case 'kube-scheduler':
      return openPort(detected);
    case 'kubelet':
      return openKubelet(detected);
    case 'kube-proxy':
    case 'admin':
      return [];
  }
}

function openEtcd(etcd: DetectedEtcd): string[] {
  const metrics = splitUrls(effectiveSetting(etcd, 'listen-metrics-urls')).filter((url) => /^http:/i.test(url));
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

function openPort({ component, effectiveFlags, version }: DetectedApiserver | DetectedManager): string[] {
  const { flag, port: byDefault, until } = insecurePorts[component];
  const [, minor] = /^v?1\.(\d+)\./.exec(version) ?? [];
  const isGone = minor === undefined || Number(minor) >= until;
  const port = lastFlag(effectiveFlags, flag) ?? byDefault;
  if (port === '0' || isGone) return [];
  return [`--${flag}=${port} stays: it asks nobody for a certificate; set --${flag}=0`];
}

/** Without a configuration file the port is open by default (kubelet, applyLegacyDefaults). */
function openKubelet(kubelet: DetectedKubelet): string[] {
  const byDefault = kubelet.config === undefined ? '10255' : '0';
  const port =
    lastFlag(kubelet.effectiveFlags, 'read-only-port') ?? kubeletSetting(kubelet, 'readOnlyPort') ?? byDefault;
  if (port === '0') return [];
  return [`--read-only-port=${port} stays: it tells pods and metrics without a certificate; set it to 0`];
}
