/** Debian packages and the base image that test hosts are made of; installed and made once a machine. */
import { existsSync } from 'node:fs';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { runChecked, runCommand } from '../../common/run/command.ts';

/** Where base image, Kubernetes binaries and the writable layers of hosts live. */
export const LAB = process.env.KUBE_MTLS_LAB ?? '/var/tmp/kube-mtls-lab';

const SUITE = 'bookworm';
/** Folder of the base image. */
export const BASE = join(LAB, `base-${SUITE}`);
/** Kubernetes binaries; hosts see it as /opt/bin. */
export const BIN = join(LAB, 'bin');

/** socat, iptables and conntrack are for kubelet. */
const IN_THE_IMAGE =
  'systemd,systemd-sysv,dbus,iproute2,procps,ca-certificates,kmod,iptables,etcd-server,etcd-client,containerd,runc,containernetworking-plugins,conntrack,ethtool,mount,socat,curl,openssl,jq,util-linux';

const MINUTES_MS = 60_000;

/** Installs what this machine lacks, and returns that. Needs root; asks the package lists only when something is missing. */
export async function installPackages(wanted: readonly string[], say: (text: string) => void): Promise<string[]> {
  const missing: string[] = [];
  for (const name of wanted) {
    const { code, stdout } = await runCommand(['dpkg-query', '-W', `-f=\${db:Status-Status}`, name]);
    if (code !== 0 || stdout !== 'installed') missing.push(name);
  }
  if (missing.length === 0) return [];
  say(`installing ${missing.join(', ')}`);
  await runChecked(runCommand, ['apt-get', 'update', '-qq'], { timeoutMs: 10 * MINUTES_MS });
  await runChecked(
    runCommand,
    ['env', 'DEBIAN_FRONTEND=noninteractive', 'apt-get', 'install', '-y', '-qq', '--no-install-recommends', ...missing],
    { timeoutMs: 15 * MINUTES_MS },
  );
  return missing;
}

/** Makes the base image once; about a minute. */
export async function makeBaseImage(say: (text: string) => void): Promise<void> {
  await installPackages(['systemd-container', 'debootstrap', 'iproute2', 'util-linux', 'procps'], say);
  if (existsSync(join(BASE, '.done'))) return;
  say('making the base image of test hosts (about a minute, once)');
  await mkdir(LAB, { recursive: true });
  await rm(BASE, { recursive: true, force: true });
  await runChecked(runCommand, ['debootstrap', '--variant=minbase', `--include=${IN_THE_IMAGE}`, SUITE, BASE], {
    timeoutMs: 15 * MINUTES_MS,
  });
  // etcd and containerd start only where a test enables them
  await runChecked(runCommand, ['chroot', BASE, 'systemctl', 'disable', '-q', 'etcd', 'containerd']);
  await writeFile(join(BASE, '.done'), '');
}

/** Builds the Kubernetes binaries once; about six minutes on two cores. */
export async function makeKubernetes(say: (text: string) => void): Promise<void> {
  if (existsSync(join(BIN, 'kubelet')) && existsSync(join(BIN, 'kubectl'))) return;
  say('building Kubernetes v1.20.2 from Debian source (about six minutes, once)');
  await installPackages(['rsync', 'make', 'gcc', 'dpkg-dev'], say);
  const script = join(import.meta.dirname, 'kubernetes-from-debian.sh');
  await runChecked(runCommand, ['env', `LAB=${LAB}`, 'bash', script], { timeoutMs: 40 * MINUTES_MS });
}
