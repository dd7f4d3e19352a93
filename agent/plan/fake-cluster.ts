/** Nodes of the cluster of a kubeadm by hand, for tests of the plan: detection is the real one, and plans can be applied. */
import { chmod, mkdir, readFile, rm, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { type Authority, components } from '../../common/names/names.ts';
import { generateKey, type KeyAlgorithm } from '../../common/x509/keys.ts';
import { newSerial, type Signer, signCertificate } from '../../common/x509/sign.ts';
import { detectNode } from '../detect/detect-node.ts';
import type { DetectedManager } from '../detect/detected.ts';
import { asRoot, FakeNode } from '../detect/fake-node.ts';
import { chooseAlgorithm, type KeyChoice } from '../keys/choose-algorithm.ts';
import { componentFolder } from '../layout.ts';
import type { ComponentChange, NodePlan, Slot } from './change.ts';
import {
  bundlesOf,
  type FakeRotation,
  lifetimeMs,
  makeAuthority,
  nowMs,
  rotationsOf,
  signerOf,
} from './fake-authorities.ts';
import {
  apiserverCommand,
  etcdUnit,
  kubeadmApiserverCommand,
  kubeadmEtcdCommand,
  kubeconfigText,
  kubeletCommand,
  kubeletConfig,
  managerCommands,
  managerKubeconfigs,
  manifestText,
  pki,
  proxyCommand,
  proxyConfig,
} from './fake-parts.ts';
import { fillPlaceholders } from './placeholders.ts';
import type { EtcdMember, PlanInput } from './plan-input.ts';
import { planNode } from './plan-node.ts';
import { readInstalled } from './read-installed.ts';
import { readTrust } from './read-trust.ts';
import type { NodeSettings } from './settings.ts';

/** Units and files as a test wants them; the lab's where it says nothing. */
export interface FakeParts {
  etcd?: { unit?: string; defaults?: string };
  apiserver?: string;
  kubelet?: { command?: string; config?: string };
}

/** One node with the CAs of its cluster. Close it with {@link FakeCluster.remove}. */
export class FakeCluster {
  readonly node: FakeNode;
  readonly signers: Map<Authority, Signer>;
  readonly rotations = new Map<Authority, FakeRotation>();
  settings: NodeSettings;
  /** What etcd tells; undefined for one that does not answer. */
  members: EtcdMember[] | undefined;
  nowMs = nowMs;
  /** As agent.yaml names it. */
  keyAlgorithm: KeyChoice = 'auto';
  #changes = 0;

  constructor(node: FakeNode, signers: ReadonlyMap<Authority, Signer>, settings: NodeSettings) {
    this.node = node;
    this.signers = new Map(signers);
    this.settings = settings;
    this.members = [
      { id: 'a1', name: 'cp1', peerUrls: ['http://localhost:2380'], clientUrls: ['http://localhost:2379'] },
    ];
  }

  /** cp1 with nothing on it. */
  static bareControlPlane(): Promise<FakeCluster> {
    return FakeCluster.#create({ nodeName: 'cp1', role: 'control-plane', addresses: ['10.77.0.10'] });
  }

  /** cp1: etcd and API server. */
  static async controlPlane(parts: FakeParts = {}): Promise<FakeCluster> {
    const cluster = await FakeCluster.bareControlPlane();
    await cluster.addEtcd(parts.etcd);
    await cluster.addApiserver(parts.apiserver ?? apiserverCommand);
    return cluster;
  }

  /** w1: a kubelet. */
  static async worker(parts: FakeParts = {}): Promise<FakeCluster> {
    const cluster = await FakeCluster.#create({ nodeName: 'w1', role: 'worker', addresses: ['10.77.0.11'] });
    await cluster.addKubelet(parts.kubelet);
    return cluster;
  }

  static async #create(own: Pick<NodeSettings, 'nodeName' | 'role' | 'addresses'>): Promise<FakeCluster> {
    const signers = new Map<Authority, Signer>();
    for (const authority of ['kubernetes', 'etcd', 'front-proxy'] as const) {
      signers.set(authority, await makeAuthority(authority));
    }
    return new FakeCluster(await FakeNode.create(), signers, {
      ...own,
      cluster: { name: 'lab', apiEndpoint: '10.77.0.10:6443', serviceAddress: '10.96.0.1', dnsDomain: 'cluster.local' },
      kubeletVerification: 'no',
      etcdStep: 'enforce',
    });
  }

  async addEtcd({ unit = etcdUnit, defaults = '# nothing\n' }: NonNullable<FakeParts['etcd']> = {}): Promise<void> {
    await this.node.addUnit('etcd.service', { text: unit, user: 'etcd' });
    await this.node.write('/etc/default/etcd', defaults);
  }

  async addApiserver(command = apiserverCommand): Promise<void> {
    await this.addUnit('kube-apiserver', command);
    await this.#writePki();
  }

  /** A controller manager or a scheduler. */
  async addManager(component: DetectedManager['component'], more = ''): Promise<void> {
    await this.addUnit(component, managerCommands[component] + more);
    await this.#writePki();
    await this.node.write(managerKubeconfigs[component], this.kubeconfig(`system:${component}`));
  }

  async addKubelet({ command = kubeletCommand, config = kubeletConfig }: NonNullable<FakeParts['kubelet']> = {}) {
    await this.addUnit('kubelet', command);
    await this.node.write('/var/lib/kubelet/config.yaml', config);
    await this.#writePki();
    await this.node.write('/etc/kubernetes/kubelet.conf', this.kubeconfig());
  }

  async addProxy(): Promise<void> {
    await this.addUnit('kube-proxy', proxyCommand);
    await this.node.write('/var/lib/kube-proxy/config.yaml', proxyConfig);
    await this.node.write('/var/lib/kube-proxy/kubeconfig', this.kubeconfig('system:kube-proxy'));
  }

  /** admin.conf or super-admin.conf with the mode that kubeadm gives it. */
  async addAdmin(name: 'admin' | 'super-admin' = 'admin', mode = 0o600): Promise<void> {
    const path = `/etc/kubernetes/${name}.conf`;
    await this.node.write(path, this.kubeconfig(`kubernetes-${name}`, await this.issue('kubernetes', [], [])));
    await chmod(this.node.path(path), mode);
  }

  /** A component of the control plane as kubeadm's static pod. */
  async addPod(component: 'etcd' | 'kube-apiserver' | DetectedManager['component']): Promise<void> {
    await this.#writePki();
    const add = (command: string, kubeconfig?: string) =>
      this.node.addManifest(`${component}.yaml`, manifestText(component, command, kubeconfig));
    if (component === 'etcd') return add(kubeadmEtcdCommand);
    if (component === 'kube-apiserver') return add(kubeadmApiserverCommand);
    const path = managerKubeconfigs[component];
    await this.node.write(path, this.kubeconfig(`system:${component}`));
    await add(managerCommands[component], path);
  }

  async addUnit(component: string, command: string): Promise<void> {
    await this.node.addUnit(`${component}.service`, { text: `[Service]\nExecStart=${command}\n` });
  }

  /** Lets the programs in /opt/bin say that they are of this version. */
  setVersion(version: string): void {
    for (const component of components.all) {
      const answer = { code: 0, stdout: `Kubernetes v${version}\n`, stderr: '' };
      this.node.answers.set(`/opt/bin/${component} --version`, answer);
    }
  }

  /** kubelet.conf as kubeadm writes it, or another's kubeconfig. */
  kubeconfig(user = 'system:node:w1', client?: { pem: string; keyPem: string }): string {
    return kubeconfigText(user, this.rootPem('kubernetes'), client);
  }

  /** Of the CA in use, which a change of root ends only when it is settled. */
  rootPem(authority: Authority): string {
    return this.#signer(authority).certificate.pem;
  }

  /** Lets a root begin to change, in the phase trust. A foreign CA is one whose key the server does not have. */
  async beginRotation(authority: Authority, foreign: boolean): Promise<void> {
    this.rotations.set(authority, { phase: 'trust', next: await makeAuthority(`new ${authority}`), foreign });
  }

  /** Goes on to another phase, or ends the change. */
  setPhase(authority: Authority, phase: 'reissue' | 'drop' | 'settled'): void {
    const rotation = this.rotations.get(authority);
    if (rotation === undefined) throw new Error(`no change of ${authority}`);
    if (phase !== 'settled') return void this.rotations.set(authority, { ...rotation, phase });
    this.signers.set(authority, rotation.next);
    this.rotations.delete(authority);
  }

  /** A certificate of the fake server, for both usages. */
  issue(authority: Authority, dnsNames: string[], ipAddresses: string[], notBeforeMs = this.nowMs) {
    return this.#issue(this.#signer(authority), dnsNames, ipAddresses, notBeforeMs);
  }

  /** What the plan is made from, read from the node. */
  async input(): Promise<PlanInput> {
    const { layout, run } = this.node;
    const detected = await detectNode({ layout, run, hostname: this.settings.nodeName }, new AbortController().signal);
    for (const each of detected.components) {
      if (each.process.kind === 'unit') each.process.dropIn = asRoot(each.process.dropIn);
      if (each.component === 'etcd') each.environmentFile = asRoot(each.environmentFile);
      if (each.component === 'kubelet') each.configDropIn = asRoot(each.configDropIn);
    }
    const { members } = this;
    return {
      ...{ detected, layout, settings: this.settings, nowMs: this.nowMs, keyAlgorithm: this.keyAlgorithm },
      current: await readInstalled(layout, components.all),
      trust: await readTrust(detected, layout),
      bundles: bundlesOf(this),
      rotation: rotationsOf(this),
      etcdCluster: members === undefined ? undefined : { clusterId: 'c1', memberId: 'a1', members },
      changeId: () => `20260101T000000Z-${++this.#changes}`,
    };
  }

  async plan(): Promise<NodePlan> {
    return planNode(await this.input());
  }

  /** Does what the later stages do: certificates, link, files, member list. */
  async apply(plan: NodePlan): Promise<void> {
    for (const { changeId, components } of plan.changes) {
      for (const component of components) await this.#applyComponent(changeId, component);
    }
  }

  remove(): Promise<void> {
    return this.node.remove();
  }

  async #applyComponent(changeId: string, change: ComponentChange): Promise<void> {
    const { layout } = this.node;
    const folder = componentFolder(layout, change.component);
    const version = join(folder.slice(layout.root.length), `v${changeId}`);
    const made = new Map<string, string>();
    for (const slot of change.slots) {
      const { file } = slot;
      const { pem, keyPem } = await this.#sign(slot);
      made.set(`${file}.crt`, pem).set(`${file}.key`, keyPem);
    }
    for (const { file, authority } of change.bundles) made.set(file, bundlesOf(this).get(authority) ?? '');
    for (const [name, content] of made) await this.node.write(join(version, name), content);
    await mkdir(folder, { recursive: true });
    await rm(join(folder, 'current'), { force: true });
    await symlink(`v${changeId}`, join(folder, 'current'));
    for (const { path, after } of change.files) {
      await this.node.write(path.slice(layout.root.length), fillPlaceholders(after.text, changeId, made));
      await chmod(path, after.mode);
    }
    const { memberUpdate } = change;
    if (memberUpdate === undefined) return;
    this.members = this.members?.map((member) =>
      member.id === memberUpdate.memberId ? { ...member, peerUrls: memberUpdate.after } : member,
    );
  }

  /** A file of the node. */
  read(path: string): Promise<string> {
    return readFile(this.node.path(path), 'utf8');
  }

  #sign({ profile, dnsNames, ipAddresses, key }: Slot) {
    const algorithm = chooseAlgorithm(this.keyAlgorithm, key?.kind);
    return this.#issue(signerOf(this, profile), dnsNames, ipAddresses, this.nowMs, algorithm);
  }

  async #issue(
    signer: Signer,
    dnsNames: string[],
    ipAddresses: string[],
    notBeforeMs: number,
    algorithm: KeyAlgorithm = 'ecdsa-p256',
  ) {
    const key = await generateKey(algorithm);
    const pem = signCertificate(
      {
        ...{ serial: newSerial(), commonName: 'test', organizations: [], publicKey: key.publicKey, uris: [] },
        ...{ notBefore: new Date(notBeforeMs), notAfter: new Date(notBeforeMs + lifetimeMs) },
        ...{ usages: ['server', 'client'], dnsNames, ipAddresses },
      },
      signer,
    );
    return { pem, keyPem: key.pem };
  }

  async #writePki(): Promise<void> {
    const files = { kubernetes: 'ca.crt', etcd: 'etcd/ca.crt', 'front-proxy': 'front-proxy-ca.crt' } as const;
    for (const authority of ['kubernetes', 'etcd', 'front-proxy'] as const) {
      await this.node.write(`${pki}/${files[authority]}`, this.rootPem(authority));
    }
    await this.node.write(`${pki}/apiserver.crt`, (await this.issue('kubernetes', ['cp1', 'api.example.com'], [])).pem);
  }

  #signer(authority: Authority): Signer {
    const signer = this.signers.get(authority);
    if (signer === undefined) throw new Error(`no CA ${authority}`);
    return signer;
  }
}
