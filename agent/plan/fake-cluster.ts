/** Nodes of the cluster of a kubeadm by hand, for tests of the plan: detection is the real one, and plans can be applied. */
import { mkdir, rm, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { type Authority, components } from '../../common/names/names.ts';
import { generateKey } from '../../common/x509/keys.ts';
import { createAuthority, newSerial, type Signer, signCertificate } from '../../common/x509/sign.ts';
import { detectNode } from '../detect/detect-node.ts';
import type { SourceFile } from '../detect/detected.ts';
import { FakeNode } from '../detect/fake-node.ts';
import { componentFolder } from '../layout.ts';
import type { ComponentChange, NodePlan } from './change.ts';
import { issuers } from './complete-change.ts';
import type { EtcdMember, PlanInput } from './plan-input.ts';
import { planNode } from './plan-node.ts';
import { readInstalled } from './read-installed.ts';
import { readTrust } from './read-trust.ts';
import type { NodeSettings } from './settings.ts';

/** The time of all tests. */
export const nowMs = Date.UTC(2026, 0, 1);
const dayMs = 24 * 60 * 60 * 1000;
/** Lifetime of certificates that the fake server issues. */
export const lifetimeMs = 90 * dayMs;

/** Debian's unit of etcd (etcd-server 3.4.23-4), as far as it matters. */
export const etcdUnit = `[Service]
Environment=DAEMON_ARGS=
Environment=ETCD_NAME=%H
Environment=ETCD_DATA_DIR=/var/lib/etcd/default
EnvironmentFile=-/etc/default/%p
Type=notify
User=etcd
#ExecStart=/bin/sh -c "GOMAXPROCS=$(nproc) /usr/bin/etcd $DAEMON_ARGS"
ExecStart=/usr/bin/etcd $DAEMON_ARGS
`;

const pki = '/etc/kubernetes/pki';
/** The API server of lab/cluster.sh. */
export const apiserverCommand = [
  '/opt/bin/kube-apiserver --advertise-address=10.77.0.10 --allow-privileged=true --authorization-mode=Node,RBAC',
  `--client-ca-file=${pki}/ca.crt --enable-admission-plugins=NodeRestriction --etcd-servers=http://127.0.0.1:2379`,
  `--kubelet-client-certificate=${pki}/apiserver-kubelet-client.crt --kubelet-client-key=${pki}/apiserver-kubelet-client.key`,
  `--requestheader-client-ca-file=${pki}/front-proxy-ca.crt --requestheader-allowed-names=front-proxy-client`,
  `--proxy-client-cert-file=${pki}/front-proxy-client.crt --proxy-client-key-file=${pki}/front-proxy-client.key`,
  `--service-account-issuer=https://kubernetes.default.svc.cluster.local --service-account-key-file=${pki}/sa.pub`,
  `--service-account-signing-key-file=${pki}/sa.key --service-cluster-ip-range=10.96.0.0/12`,
  `--tls-cert-file=${pki}/apiserver.crt --tls-private-key-file=${pki}/apiserver.key --v=2`,
].join(' ');

/** The kubelet of lab/cluster.sh. */
export const kubeletCommand = [
  '/opt/bin/kubelet --kubeconfig=/etc/kubernetes/kubelet.conf --config=/var/lib/kubelet/config.yaml',
  '--container-runtime=remote --container-runtime-endpoint=unix:///run/containerd/containerd.sock',
  '--cgroups-per-qos=false --enforce-node-allocatable= --hostname-override=w1 --node-ip=10.77.0.11',
].join(' ');

/** The KubeletConfiguration of lab/cluster.sh. */
export const kubeletConfig = `apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
authentication: {anonymous: {enabled: false}, webhook: {enabled: true}, x509: {clientCAFile: /etc/kubernetes/pki/ca.crt}}
authorization: {mode: Webhook}
cgroupDriver: cgroupfs
failSwapOn: false
rotateCertificates: true
staticPodPath: /etc/kubernetes/manifests
`;

/** Units and files as a test wants them; the lab's where it says nothing. */
export interface FakeParts {
  etcd?: { unit?: string; defaults?: string };
  apiserver?: string;
  kubelet?: { command?: string; config?: string };
}

/** One node with the CAs of its cluster. Close it with {@link FakeCluster.remove}. */
export class FakeCluster {
  readonly node: FakeNode;
  readonly signers: ReadonlyMap<Authority, Signer>;
  settings: NodeSettings;
  /** What etcd tells; undefined for one that does not answer. */
  members: EtcdMember[] | undefined;
  nowMs = nowMs;
  #changes = 0;

  constructor(node: FakeNode, signers: ReadonlyMap<Authority, Signer>, settings: NodeSettings) {
    this.node = node;
    this.signers = signers;
    this.settings = settings;
    this.members = [
      { id: 'a1', name: 'cp1', peerUrls: ['http://localhost:2380'], clientUrls: ['http://localhost:2379'] },
    ];
  }

  /** cp1: etcd and API server. */
  static async controlPlane(parts: FakeParts = {}): Promise<FakeCluster> {
    const cluster = await FakeCluster.#create({ nodeName: 'cp1', role: 'control-plane', addresses: ['10.77.0.10'] });
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
      verifyKubelets: false,
      etcdStep: 'enforce',
    });
  }

  async addEtcd({ unit = etcdUnit, defaults = '# nothing\n' }: NonNullable<FakeParts['etcd']> = {}): Promise<void> {
    await this.node.addUnit('etcd.service', { text: unit, user: 'etcd' });
    await this.node.write('/etc/default/etcd', defaults);
  }

  async addApiserver(command: string): Promise<void> {
    await this.node.addUnit('kube-apiserver.service', { text: `[Service]\nExecStart=${command}\n` });
    await this.node.write(`${pki}/ca.crt`, this.rootPem('kubernetes'));
    await this.node.write(`${pki}/front-proxy-ca.crt`, this.rootPem('front-proxy'));
    await this.node.write(`${pki}/apiserver.crt`, (await this.issue('kubernetes', ['cp1', 'api.example.com'], [])).pem);
  }

  async addKubelet({ command = kubeletCommand, config = kubeletConfig }: NonNullable<FakeParts['kubelet']> = {}) {
    await this.node.addUnit('kubelet.service', { text: `[Service]\nExecStart=${command}\n` });
    await this.node.write('/var/lib/kubelet/config.yaml', config);
    await this.node.write(`${pki}/ca.crt`, this.rootPem('kubernetes'));
    await this.node.write('/etc/kubernetes/kubelet.conf', this.kubeconfig());
  }

  /** kubelet.conf as kubeadm writes it. */
  kubeconfig(): string {
    return `apiVersion: v1
clusters:
- cluster:
    certificate-authority-data: ${Buffer.from(this.rootPem('kubernetes')).toString('base64')}
    server: https://10.77.0.10:6443
  name: kubernetes
contexts:
- context:
    cluster: kubernetes
    user: system:node:w1
  name: system:node:w1@kubernetes
current-context: system:node:w1@kubernetes
kind: Config
preferences: {}
users:
- name: system:node:w1
  user:
    client-certificate-data: Y2VydGlmaWNhdGU=
    client-key-data: c2VjcmV0
`;
  }

  rootPem(authority: Authority): string {
    return this.#signer(authority).certificate.pem;
  }

  /** A certificate of the fake server. */
  async issue(authority: Authority, dnsNames: string[], ipAddresses: string[], notBeforeMs = this.nowMs) {
    const key = await generateKey('ecdsa-p256');
    const pem = signCertificate(
      {
        ...{ serial: newSerial(), commonName: 'test', organizations: [], publicKey: key.publicKey, uris: [] },
        ...{ notBefore: new Date(notBeforeMs), notAfter: new Date(notBeforeMs + lifetimeMs) },
        ...{ usages: ['server', 'client'], dnsNames, ipAddresses },
      },
      this.#signer(authority),
    );
    return { pem, keyPem: key.pem };
  }

  /** What the plan is made from, read from the node. */
  async input(): Promise<PlanInput> {
    const { layout, run } = this.node;
    const detected = await detectNode({ layout, run, hostname: this.settings.nodeName }, new AbortController().signal);
    for (const each of detected.components) {
      each.unit.dropIn = asRoot(each.unit.dropIn);
      if (each.component === 'etcd') each.environmentFile = asRoot(each.environmentFile);
    }
    const { members } = this;
    return {
      ...{ detected, layout, settings: this.settings, nowMs: this.nowMs },
      current: await readInstalled(layout, components.all),
      trust: await readTrust(detected, layout),
      bundles: new Map([...this.signers.keys()].map((authority) => [authority, this.rootPem(authority)])),
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
    for (const { profile, file, dnsNames, ipAddresses } of change.slots) {
      const { pem, keyPem } = await this.issue(issuers[profile], dnsNames, ipAddresses);
      await this.node.write(join(version, `${file}.crt`), pem);
      await this.node.write(join(version, `${file}.key`), keyPem);
    }
    for (const { file, authority } of change.bundles)
      await this.node.write(join(version, file), this.rootPem(authority));
    await mkdir(folder, { recursive: true });
    await rm(join(folder, 'current'), { force: true });
    await symlink(`v${changeId}`, join(folder, 'current'));
    for (const { path, after } of change.files) await this.node.write(path.slice(layout.root.length), after.text);
    const { memberUpdate } = change;
    if (memberUpdate === undefined) return;
    this.members = this.members?.map((member) =>
      member.id === memberUpdate.memberId ? { ...member, peerUrls: memberUpdate.after } : member,
    );
  }

  #signer(authority: Authority): Signer {
    const signer = this.signers.get(authority);
    if (signer === undefined) throw new Error(`no CA ${authority}`);
    return signer;
  }
}

/** A new CA that is valid throughout the tests. */
export function makeAuthority(commonName: string): Promise<Signer> {
  return createAuthority({
    ...{ commonName, serial: newSerial(), algorithm: 'ecdsa-p256' },
    ...{ notBefore: new Date(nowMs - dayMs), notAfter: new Date(nowMs + 3650 * dayMs) },
  });
}

/** Tests may run as anybody; the agent writes its files as root. */
function asRoot(file: SourceFile | undefined): SourceFile | undefined {
  return file === undefined ? undefined : { ...file, mode: 0o644, uid: 0, gid: 0 };
}
