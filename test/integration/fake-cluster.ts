/** A fake Kubernetes cluster as it is before anybody joins: machines with units, configurations and certificates of its own CA. */
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { kubeconfigText } from '../../agent/plan/fake-parts.ts';
import type { Authority } from '../../common/names/names.ts';
import type { Clock } from '../../common/time/clock.ts';
import { generateKey, type PrivateKey } from '../../common/x509/keys.ts';
import { type CertificateFields, newSerial, type Signer, signCertificate } from '../../common/x509/sign.ts';
import { fakeApiserver } from './fake-apiserver.ts';
import type { Leaf } from './fake-kubeconfig.ts';
import { fakeKubelet, type KubeletFaults } from './fake-kubelet.ts';
import { FakeKubernetes } from './fake-kubernetes.ts';
import { FakeMachine } from './fake-machine.ts';
import { FakeNetwork } from './fake-network.ts';

const DAY_MS = 24 * 3_600_000;
const PKI = '/etc/kubernetes/pki';
/** At which clients reach the API servers. */
export const API_ENDPOINT = '10.9.255.1:6443';

const KUBELET_CONFIG = `apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
authentication: {anonymous: {enabled: false}, webhook: {enabled: true}, x509: {clientCAFile: ${PKI}/ca.crt}}
authorization: {mode: Webhook}
rotateCertificates: true
`;

/** Certificates with which an API server calls others. */
const CLIENTS_OF_APISERVER: readonly (readonly [file: string, authority: Authority])[] = [
  ['apiserver-kubelet-client', 'kubernetes'],
  ['apiserver-etcd-client', 'etcd'],
  ['front-proxy-client', 'front-proxy'],
];

/** kubeadm's flags, as far as certificates go. */
function apiserverCommand(address: string): string {
  return [
    `/opt/bin/kube-apiserver --advertise-address=${address} --client-ca-file=${PKI}/ca.crt`,
    `--etcd-cafile=${PKI}/etcd/ca.crt --etcd-certfile=${PKI}/apiserver-etcd-client.crt`,
    `--etcd-keyfile=${PKI}/apiserver-etcd-client.key --etcd-servers=https://10.9.255.3:2379`,
    `--kubelet-client-certificate=${PKI}/apiserver-kubelet-client.crt --kubelet-client-key=${PKI}/apiserver-kubelet-client.key`,
    `--proxy-client-cert-file=${PKI}/front-proxy-client.crt --proxy-client-key-file=${PKI}/front-proxy-client.key`,
    `--requestheader-client-ca-file=${PKI}/front-proxy-ca.crt --requestheader-allowed-names=front-proxy-client`,
    '--service-account-issuer=https://kubernetes.default.svc.cluster.local --service-cluster-ip-range=10.96.0.0/12',
    `--service-account-key-file=${PKI}/sa.pub --service-account-signing-key-file=${PKI}/sa.key`,
    `--tls-cert-file=${PKI}/apiserver.crt --tls-private-key-file=${PKI}/apiserver.key`,
  ].join(' ');
}

/** Signs as one of the cluster's CAs. */
export type SignerOf = (authority: Authority) => Signer;

/** The cluster. */
export class FakeCluster {
  readonly kubernetes = new FakeKubernetes(API_ENDPOINT);
  readonly network = new FakeNetwork();
  readonly machines: FakeMachine[] = [];
  readonly #apiservers: string[] = [];
  readonly #folder: string;
  readonly #clock: Clock;
  readonly #signerOf: SignerOf;
  /** Of all certificates from before: keys cost time, and nobody compares them. */
  readonly #key: PrivateKey;

  private constructor(folder: string, clock: Clock, signerOf: SignerOf, key: PrivateKey) {
    this.#folder = folder;
    this.#clock = clock;
    this.#signerOf = signerOf;
    this.#key = key;
  }

  /**
   * One without machines.
   *
   * @param parent - folder for the files of the machines
   */
  static async create(parent: string, clock: Clock, signerOf: SignerOf): Promise<FakeCluster> {
    const folder = await mkdtemp(join(parent, 'kube-mtls-fleet-'));
    return new FakeCluster(folder, clock, signerOf, await generateKey('ecdsa-p256'));
  }

  /** An API server that no agent manages, behind the endpoint of the cluster. */
  async addForeignApiserver(): Promise<FakeMachine> {
    const machine = await this.#machine('api', '10.9.255.2', this.#clock);
    await this.#put(
      machine,
      `${PKI}/apiserver`,
      this.#leaf('kubernetes', 'kube-apiserver', { ipAddresses: ['10.9.255.1'] }),
    );
    const command = `/opt/bin/kube-apiserver --client-ca-file=${PKI}/ca.crt --tls-cert-file=${PKI}/apiserver.crt --tls-private-key-file=${PKI}/apiserver.key`;
    await machine.addUnit('kube-apiserver.service', command, fakeApiserver(this.kubernetes));
    this.network.share(API_ENDPOINT, [machine.address], 6443);
    return machine;
  }

  /** A control plane node: an API server, whose etcd is elsewhere, and a kubelet. Its API server stands behind the endpoint. */
  async addControlPlane(name: string, address: string, clock: Clock, faults: KubeletFaults = {}): Promise<FakeMachine> {
    const machine = await this.#machine(name, address, clock);
    const serving = { dnsNames: [name, 'kubernetes'], ipAddresses: ['10.9.255.1', address] };
    await this.#put(machine, `${PKI}/apiserver`, this.#leaf('kubernetes', 'kube-apiserver', serving));
    for (const [file, authority] of CLIENTS_OF_APISERVER) {
      await this.#put(machine, `${PKI}/${file}`, this.#leaf(authority, file, {}));
    }
    await machine.write(`${PKI}/etcd/ca.crt`, this.#signerOf('etcd').certificate.pem);
    await machine.write(`${PKI}/front-proxy-ca.crt`, this.#signerOf('front-proxy').certificate.pem);
    await machine.addUnit('kube-apiserver.service', apiserverCommand(address), fakeApiserver(this.kubernetes));
    this.#apiservers.push(address);
    this.network.share(API_ENDPOINT, this.#apiservers, 6443);
    await this.#addKubelet(machine, faults);
    return machine;
  }

  /** A machine with a kubelet. */
  async addWorker(name: string, address: string, clock: Clock, faults: KubeletFaults = {}): Promise<FakeMachine> {
    const machine = await this.#machine(name, address, clock);
    await this.#addKubelet(machine, faults);
    return machine;
  }

  async close(): Promise<void> {
    for (const machine of this.machines) machine.stop();
    this.network.close();
    await rm(this.#folder, { recursive: true });
  }

  async #machine(name: string, address: string, clock: Clock): Promise<FakeMachine> {
    const root = join(this.#folder, name);
    await mkdir(root, { mode: 0o755 });
    const machine = new FakeMachine({ root, name, address, clock, network: this.network, version: '1.34.1' });
    this.machines.push(machine);
    await machine.write('/etc/passwd', 'root:x:0:0:root:/root:/bin/bash\n');
    await machine.write('/etc/group', 'root:x:0:\n');
    await machine.write(`${PKI}/ca.crt`, this.#signerOf('kubernetes').certificate.pem);
    return machine;
  }

  async #addKubelet(machine: FakeMachine, faults: KubeletFaults): Promise<void> {
    const { name, address } = machine;
    const user = `system:node:${name}`;
    const roots = this.#signerOf('kubernetes').certificate.pem;
    const { certPem: pem, keyPem } = this.#leaf('kubernetes', user, { organizations: ['system:nodes'] });
    await machine.write('/var/lib/kubelet/config.yaml', KUBELET_CONFIG);
    const kubeconfig = kubeconfigText(user, roots, { pem, keyPem }, API_ENDPOINT);
    await machine.write('/etc/kubernetes/kubelet.conf', kubeconfig, 0o600);
    await this.#put(
      machine,
      '/var/lib/kubelet/pki/kubelet',
      this.#leaf('kubernetes', `${name}@1`, { dnsNames: [name] }),
    );
    const command = `/opt/bin/kubelet --kubeconfig=/etc/kubernetes/kubelet.conf --config=/var/lib/kubelet/config.yaml --hostname-override=${name} --node-ip=${address}`;
    await machine.addUnit('kubelet.service', command, fakeKubelet(this.kubernetes, faults));
  }

  /** A certificate from before. */
  #leaf(authority: Authority, commonName: string, fields: Partial<CertificateFields>): Leaf {
    const nowMs = this.#clock.nowMs();
    const certPem = signCertificate(
      {
        ...{ serial: newSerial(), commonName, organizations: [], publicKey: this.#key.publicKey, uris: [] },
        ...{ notBefore: new Date(nowMs - 3_600_000), notAfter: new Date(nowMs + 300 * DAY_MS) },
        ...{ usages: ['server', 'client'], dnsNames: [], ipAddresses: [], ...fields },
      },
      this.#signerOf(authority),
    );
    return { certPem, keyPem: this.#key.pem };
  }

  async #put(machine: FakeMachine, path: string, { certPem, keyPem }: Leaf): Promise<void> {
    await machine.write(`${path}.crt`, certPem);
    await machine.write(`${path}.key`, keyPem, 0o600);
  }
}
