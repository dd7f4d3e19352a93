/** A fake Kubernetes cluster as it is before anybody joins: machines with units, configurations and certificates of its own CA. */
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Authority } from '../../common/names/names.ts';
import type { Clock } from '../../common/time/clock.ts';
import { generateKey, type PrivateKey } from '../../common/x509/keys.ts';
import { type CertificateFields, newSerial, type Signer, signCertificate } from '../../common/x509/sign.ts';
import { fakeApiserver } from './fake-apiserver.ts';
import { kubeconfigText, type Leaf } from './fake-kubeconfig.ts';
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

/** Signs as one of the cluster's CAs. */
export type SignerOf = (authority: Authority) => Signer;

/** The cluster. */
export class FakeCluster {
  readonly kubernetes = new FakeKubernetes(API_ENDPOINT);
  readonly network = new FakeNetwork();
  readonly machines: FakeMachine[] = [];
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
    const client = this.#leaf('kubernetes', user, { organizations: ['system:nodes'] });
    await machine.write('/var/lib/kubelet/config.yaml', KUBELET_CONFIG);
    await machine.write('/etc/kubernetes/kubelet.conf', kubeconfigText(API_ENDPOINT, roots, user, client), 0o600);
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
