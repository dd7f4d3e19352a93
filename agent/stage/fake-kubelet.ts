/** A kubelet for tests of the transaction: real manifests and a real /proc below a temporary root, containers in memory. */
import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import type { Clock } from '../../common/time/clock.ts';
import type { Layout } from '../layout.ts';

/** A static pod of the fake kubelet. */
export interface FakePod {
  /** Manifest that kubelet took up last. */
  manifest: string;
  /** Undefined while no container runs. */
  container: { id: string; pid: number } | undefined;
  /** Configuration that the container read at its start. */
  running: string;
  starts: number;
}

/** When the fake machine was booted, seconds since the epoch. */
const BOOTED_AT = Date.UTC(2025, 11, 31) / 1000;

/** Pods by the name of their manifest without ".yaml", which is the component's too. */
export class FakeKubelet {
  readonly pods = new Map<string, FakePod>();
  readonly folder: string;
  readonly #proc: string;
  readonly #clock: Clock;
  readonly #configuration: (component: string, manifest: string) => Promise<string>;
  /** Decides whether a container that starts with this configuration ends at once. */
  fails: (component: string, configuration: string) => boolean = () => false;
  /** False while kubelet is stopped: containers go on, nothing is taken up. */
  isUp = true;
  /** True when it starts etcd only once no API server runs that would hang for want of it. */
  hangs = false;
  #nextPid = 1000;

  constructor(layout: Layout, clock: Clock, configuration: (component: string, manifest: string) => Promise<string>) {
    this.folder = join(layout.root, '/etc/kubernetes/manifests');
    this.#proc = join(layout.root, '/proc');
    this.#clock = clock;
    this.#configuration = configuration;
  }

  pod(component: string): FakePod {
    const pod = this.pods.get(component);
    if (pod === undefined) throw new Error(`no pod ${component} in this test`);
    return pod;
  }

  manifestPath(component: string): string {
    return join(this.folder, `${component}.yaml`);
  }

  /** Goes on from where that one is; its files have to be copied by the caller. */
  continueFrom(other: FakeKubelet): void {
    for (const [name, pod] of other.pods) this.pods.set(name, { ...pod });
    Object.assign(this, { fails: other.fails, isUp: other.isUp, hangs: other.hangs });
    this.#nextPid = other.#nextPid;
  }

  /** One look at the manifests: a pod whose manifest changed is ended, one that should run and does not is started. */
  async sync(): Promise<void> {
    if (!this.isUp) return;
    const names = existsSync(this.folder) ? readdirSync(this.folder) : [];
    for (const name of names.filter((each) => !each.startsWith('.')).sort()) {
      const component = name.replace('.yaml', '');
      const manifest = readFileSync(join(this.folder, name), 'utf8');
      const pod = this.pods.get(component) ?? { manifest, container: undefined, running: '', starts: 0 };
      this.pods.set(component, pod);
      if (this.hangs && component === 'etcd' && pod.container === undefined && this.#hasApiserver()) continue;
      if (pod.container === undefined) await this.#start(component, pod, manifest);
      else if (pod.manifest !== manifest) await this.#stop(pod);
      pod.manifest = manifest;
    }
  }

  /** As often as it takes for what stands on disk to run. */
  async settle(): Promise<void> {
    for (let turn = 0; turn < 3; turn++) await this.sync();
  }

  /** Every container ends and starts anew, as at a boot. */
  async boot(): Promise<void> {
    for (const pod of this.pods.values()) await this.#stop(pod);
    await this.settle();
  }

  /** A container is ended from outside; false when there is none of that process. */
  async kill(pid: number): Promise<boolean> {
    const pod = [...this.pods.values()].find(({ container }) => container?.pid === pid);
    if (pod !== undefined) await this.#stop(pod);
    return pod !== undefined;
  }

  #hasApiserver(): boolean {
    return this.pods.get('kube-apiserver')?.container !== undefined;
  }

  async #stop(pod: FakePod): Promise<void> {
    if (pod.container !== undefined) rmSync(join(this.#proc, String(pod.container.pid)), { recursive: true });
    pod.container = undefined;
  }

  async #start(component: string, pod: FakePod, manifest: string): Promise<void> {
    const running = await this.#configuration(component, manifest);
    if (this.fails(component, running)) return;
    const id = randomBytes(32).toString('hex');
    const pid = this.#nextPid++;
    const folder = join(this.#proc, String(pid));
    mkdirSync(folder, { recursive: true });
    const argv = parse(manifest).spec.containers[0].command.map(String);
    writeFileSync(join(folder, 'cmdline'), `${argv.join('\0')}\0`);
    writeFileSync(join(folder, 'cgroup'), `0::/kubepods.slice/kubepods-burstable.slice/cri-containerd-${id}.scope\n`);
    const ticks = Math.floor(this.#clock.nowMs() / 10) - BOOTED_AT * 100;
    writeFileSync(join(folder, 'stat'), `${pid} (${component}) S ${'0 '.repeat(18)}${ticks} 0\n`);
    writeFileSync(join(this.#proc, 'stat'), `cpu 0\nbtime ${BOOTED_AT}\n`);
    Object.assign(pod, { container: { id, pid }, running, starts: pod.starts + 1 });
  }
}
