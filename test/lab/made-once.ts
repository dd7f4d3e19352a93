/** What is made once a machine and then kept: the base image of test hosts, and Kubernetes. */
import { existsSync } from 'node:fs';
import { mkdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { runChecked, runCommand } from '../../common/run/command.ts';
import { installPackages } from './debian-packages.ts';
import { ENDS_WITH_US, withMachineLock } from './machine-lock.ts';
import { BASE, BIN, IN_THE_IMAGE, KUBERNETES_SCRIPT, LAB, SUITE } from './places.ts';

const MINUTES_MS = 60_000;
/** Words before a command that make everything end which it started, when this process ends. */
const WHOLLY_ENDED_WITH_US = [...ENDS_WITH_US, 'unshare', '--pid', '--fork', '--kill-child', '--mount-proc'] as const;
const PROGRAMS = ['kube-apiserver', 'kube-controller-manager', 'kube-scheduler', 'kubelet', 'kubeadm', 'kubectl'];

/**
 * Makes a folder unless it is there. It gets its name when it is whole, so that one that was interrupted is never taken for it; two
 * processes that need it make it once.
 *
 * @param make - makes the content in an empty folder
 */
export async function makeOnce(folder: string, make: (folder: string) => Promise<void>): Promise<void> {
  if (existsSync(folder)) return;
  await withMachineLock(`${folder}.lock`, async () => {
    if (existsSync(folder)) return;
    const unfinished = `${folder}.unfinished`;
    await rm(unfinished, { recursive: true, force: true });
    await mkdir(unfinished, { recursive: true });
    await make(unfinished);
    await rename(unfinished, folder);
  });
}

/** Makes the base image; about a minute. */
export async function makeBaseImage(say: (text: string) => void): Promise<void> {
  await installPackages(['systemd-container', 'debootstrap', 'iproute2', 'util-linux', 'procps'], say);
  await makeOnce(BASE, async (folder) => {
    say(`making the base image of test hosts, Debian ${SUITE} (about a minute, once)`);
    const debootstrap = ['debootstrap', '--variant=minbase', `--include=${IN_THE_IMAGE}`, SUITE, folder];
    await runChecked(runCommand, [...WHOLLY_ENDED_WITH_US, ...debootstrap], { timeoutMs: 15 * MINUTES_MS });
    // etcd and containerd start only where a test enables them
    await runChecked(runCommand, ['chroot', folder, 'systemctl', 'disable', '-q', 'etcd', 'containerd']);
  });
}

/**
 * Builds the Kubernetes binaries; about six minutes on two cores. Throws when KUBE_MTLS_KUBERNETES names a folder that lacks one of
 * them.
 */
export async function makeKubernetes(say: (text: string) => void): Promise<void> {
  if (process.env.KUBE_MTLS_KUBERNETES !== undefined) {
    const missing = PROGRAMS.filter((program) => !existsSync(join(BIN, program)));
    if (missing.length > 0) throw new Error(`KUBE_MTLS_KUBERNETES: there is no ${missing.join(', ')} in ${BIN}`);
    return;
  }
  await makeOnce(BIN, async (folder) => {
    say('building Kubernetes v1.20.2 from Debian source (about six minutes, once)');
    await installPackages(['rsync', 'make', 'gcc', 'dpkg-dev'], say);
    const build = join(LAB, 'build');
    const script = ['env', `BUILD=${build}`, `BIN=${folder}`, 'bash', KUBERNETES_SCRIPT];
    try {
      await runChecked(runCommand, [...WHOLLY_ENDED_WITH_US, ...script], { timeoutMs: 60 * MINUTES_MS });
    } finally {
      await rm(build, { recursive: true, force: true });
    }
  });
}
