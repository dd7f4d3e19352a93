/**
 * Which file a component serves from: one that a setting names, or one that it finds by its default path. Source: kubernetes
 * 1.20 to 1.34, apiserver/pkg/server/options/serving.go (MaybeDefaultWithSelfSignedCerts), cmd/kubelet/app/server.go (InitializeTLS).
 */
import { join, normalize } from 'node:path';
import type { DetectedApiserver, DetectedKubelet, DetectedManager, DetectedPod, DetectedUnit } from './detected.ts';
import { lastFlag } from './flags.ts';
import { effectiveKubeletSettings } from './kubelet.ts';

type Flags = ReadonlyMap<string, readonly string[]>;

/** A certificate that is served, and the setting by which it is found: "tls-cert-file", "cert-dir". */
export interface ServedPath {
  setting: string;
  /** Of the certificate, as the component reads it. */
  path: string;
  /** Of the key, where the setting is cert-dir. */
  keyPath: string;
}

/** --cert-dir where it is not given, and the name of the pair in it. Managers make their pair in memory then. */
const DEFAULTS = {
  'kube-apiserver': { folder: '/var/run/kubernetes', pair: 'apiserver' },
  'kube-controller-manager': { folder: '', pair: 'kube-controller-manager' },
  'kube-scheduler': { folder: '', pair: 'kube-scheduler' },
} as const;

/** kubelet's --cert-dir where it is not given. */
const KUBELET_FOLDER = '/var/lib/kubelet/pki';

/**
 * Where an API server or a manager serves from.
 *
 * @param flags those that count: without our drop-in, or in force
 * @returns undefined for a pair that it makes itself, in memory or in a container's own file system
 */
export function servedPath(
  { component, process }: Pick<DetectedApiserver | DetectedManager, 'component' | 'process'>,
  flags: Flags,
): ServedPath | undefined {
  const path = lastFlag(flags, 'tls-cert-file') ?? '';
  if (path !== '') return { setting: 'tls-cert-file', path, keyPath: lastFlag(flags, 'tls-private-key-file') ?? '' };
  const found = defaultPair(component, flags);
  return found !== undefined && sees(process, found.path) ? found : undefined;
}

/** The pair that a program looks for when no flag names one, whether it is there or not; undefined where it looks for none. */
export function defaultPair(component: keyof typeof DEFAULTS, flags: Flags): ServedPath | undefined {
  // with one of the two flags it looks for nothing, and does not start
  if (['tls-cert-file', 'tls-private-key-file'].some((name) => (lastFlag(flags, name) ?? '') !== '')) return undefined;
  const { folder: usual, pair } = DEFAULTS[component];
  const folder = lastFlag(flags, 'cert-dir') ?? usual;
  if (folder === '') return undefined;
  return { setting: 'cert-dir', path: join(folder, `${pair}.crt`), keyPath: join(folder, `${pair}.key`) };
}

/** Where a kubelet serves from now: without a setting from what it made itself, or had signed with serverTLSBootstrap. */
export function kubeletServedPath(kubelet: DetectedKubelet): ServedPath {
  const { tlsCertFile, bootstrapsServing } = effectiveKubeletSettings(kubelet);
  const path = lastFlag(kubelet.effectiveFlags, 'tls-cert-file') ?? tlsCertFile;
  if (path !== '') return { setting: 'tls-cert-file', path, keyPath: '' };
  const bootstraps = lastFlag(kubelet.effectiveFlags, 'rotate-server-certificates') ?? String(bootstrapsServing);
  const folder = kubeletFolder(kubelet);
  return bootstraps === 'true'
    ? { setting: 'cert-dir', path: join(folder, 'kubelet-server-current.pem'), keyPath: '' }
    : { setting: 'cert-dir', path: join(folder, 'kubelet.crt'), keyPath: join(folder, 'kubelet.key') };
}

/** Folder of what a kubelet makes itself. */
export function kubeletFolder({ effectiveFlags }: DetectedKubelet): string {
  return lastFlag(effectiveFlags, 'cert-dir') || KUBELET_FOLDER;
}

/** True when a path is the same file for the component and on the host. */
export function sees(process: DetectedUnit | DetectedPod, path: string): boolean {
  if (process.kind === 'unit') return true;
  return process.mounts.some((mount) => `${normalize(path)}/`.startsWith(mount.path === '/' ? '/' : `${mount.path}/`));
}
