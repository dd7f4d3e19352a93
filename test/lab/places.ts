/** Where on this machine the lab keeps what it makes: folders whose names say what they were made of. */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/** The folder of everything that is made once a machine and kept, and of the labs that run. */
export const LAB = process.env.KUBE_MTLS_LAB ?? '/var/tmp/kube-mtls-lab';

/** Debian releases that test hosts can be made of. */
const SUITES = ['bookworm', 'trixie'] as const;

/** The Debian release of the test hosts. */
export const SUITE = process.env.KUBE_MTLS_SUITE ?? 'bookworm';
if (!SUITES.some((suite) => suite === SUITE)) {
  throw new Error(`KUBE_MTLS_SUITE is ${JSON.stringify(SUITE)}; it can be ${SUITES.join(' or ')}`);
}

/** Debian packages of a test host; socat, iptables and conntrack are for kubelet. */
export const IN_THE_IMAGE = `systemd,systemd-sysv,dbus,iproute2,procps,ca-certificates,kmod,iptables,etcd-server,etcd-client,\
containerd,runc,containernetworking-plugins,conntrack,ethtool,mount,socat,curl,openssl,jq,util-linux`;

/** The script that builds Kubernetes. */
export const KUBERNETES_SCRIPT = join(import.meta.dirname, 'kubernetes-from-debian.sh');

/** Folder of the base image; a change of its packages names another one. */
export const BASE = join(LAB, `base-${SUITE}-${hashOf(IN_THE_IMAGE)}`);

/** Kubernetes binaries, built here or of a folder that the caller names; hosts see it as /opt/bin. */
export const BIN =
  process.env.KUBE_MTLS_KUBERNETES ?? join(LAB, `kubernetes-${hashOf(readFileSync(KUBERNETES_SCRIPT))}`);

/** Folder of the folders of container images; hosts see it as /opt/images. */
export const IMAGES = join(LAB, 'images');

/** Folder of the packages that are tested; hosts see it as /opt/dist. */
export const DIST = join(import.meta.dirname, '../../dist');

/** Eight hexadecimal digits that stand for these contents. */
export function hashOf(...contents: readonly (string | Buffer)[]): string {
  const hash = createHash('sha256');
  for (const content of contents) hash.update(content).update('\0');
  return hash.digest('hex').slice(0, 8);
}
