/** Which new files a running process takes up by itself, by component and version, and whether a change needs a restart. */
import type { Component } from '../../common/names/names.ts';
import { minorOf } from '../detect/minor-version.ts';
import type { BundleFile, FileChange, TakeUp } from './change.ts';
import type { Wish } from './wish.ts';

/** Files that are taken up from a version on. */
interface Row {
  /** First minor version of Kubernetes 1; 'any' also when the version is not known. */
  since: number | 'any';
  files: readonly string[];
}

/** Read by nobody but the agent. */
const own: Row = { since: 'any', files: ['probe-client'] };

/** KCM and scheduler share their serving and client code (k8s.io/apiserver, client-go). */
const manager: readonly Row[] = [
  own,
  // serving and callers' CAs: dynamiccertificates polls each minute since 1.17, watches since 1.23 (reference/pki.md 3.5), and needs
  // a nudge then, see stage/nudge-watchers.ts; its code of 1.23.17 and 1.36.2 showed each switch within 0.6 s, without it never;
  // client: files that a kubeconfig names, client-go since kubernetes@a493c8da9, first in 1.19
  { since: 19, files: ['serving', 'client', 'client-ca.crt', 'front-proxy-ca.crt'] },
  // static: root-ca.crt is read once into the publisher of kube-root-ca.crt; apiserver-ca.crt see below
];

/**
 * The table. What is not in it needs a restart. apiserver-ca.crt and kubelet-ca.crt are read by client-go, once before 1.36 and
 * every 5 minutes since (gate ClientsAllowCARotation): no handshake shows when, and a phase must not seem complete before.
 */
const table: Readonly<Record<Exclude<Component, 'etcd'>, readonly Row[]>> = {
  'kube-apiserver': [
    own,
    // measured on 1.20.2: serving 22 s, client-ca-file 48 to 60 s; on 1.36.2 1 s each (reference/pki.md "measured"), there with
    // files that were replaced where they were
    { since: 17, files: ['serving', 'client-ca.crt', 'front-proxy-ca.crt'] },
    // read at each new handshake with etcd (tls.Config.GetClientCertificate of etcd's client, reference/pki.md 3.5)
    { since: 17, files: ['etcd-client'] },
    // client-go re-reads files, kubernetes@a493c8da9
    { since: 19, files: ['kubelet-client'] },
    // aggregator-proxy-cert, kubernetes#92791 of July 2020: 1.20 has it for sure
    { since: 20, files: ['front-proxy-client'] },
    // static: etcd-ca.crt, whose pool is built once
  ],
  'kube-controller-manager': manager,
  'kube-scheduler': manager,
  kubelet: [
    own,
    // the verifier of callers; measured on 1.20.2: 43 to 48 s, on 1.36.2: 1 s
    { since: 17, files: ['client-ca.crt'] },
    // files that the kubeconfig names, with rotateCertificates off (kubernetes@a493c8da9)
    { since: 19, files: ['client'] },
    // gate ReloadKubeletServerCertificateFile, on since 1.31; measured on 1.20.2: not within 120 s, on 1.36.2: 1 s
    { since: 31, files: ['serving'] },
  ],
  'kube-proxy': [{ since: 19, files: ['client'] }],
  // nothing runs: whoever uses the kubeconfig reads it anew
  admin: [{ since: 'any', files: ['admin', 'super-admin', 'apiserver-ca.crt'] }],
};

/**
 * Files of the component's folder that a running process of this version takes up by itself, "serving" and "client-ca.crt".
 *
 * @param version "1.20.2"; of an empty or unreadable one nothing is known, so only what no process reads is in the answer
 * @param unread files that no setting of the process names
 */
export function reloadsOf(
  component: Exclude<Component, 'etcd'>,
  version: string,
  unread: readonly string[] = [],
): ReadonlySet<string> {
  const minor = minorOf(version);
  const rows = table[component].filter(({ since }) => since === 'any' || (minor !== undefined && minor >= since));
  return new Set([...rows.flatMap(({ files }) => files), ...unread]);
}

/**
 * How the process comes to use a change of its files.
 *
 * @param files configuration that changes
 * @param bundles files of roots whose content changes; certificates all do
 */
export function takeUpOf(wish: Wish, files: readonly FileChange[], bundles: readonly BundleFile[]): TakeUp {
  if (wish.detected.process.kind === 'none') return 'live';
  if (files.length > 0 || wish.memberUpdate !== undefined) return 'restart';
  const changed = [...wish.slots, ...bundles].map(({ file }) => file);
  return changed.every((file) => wish.reloads.has(file)) ? 'live' : 'restart';
}
