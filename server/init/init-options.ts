/** What the operator says to `kube-mtls-server init`. */

/** Options of `kube-mtls-server init`, as given on the command line. */
export interface InitOptions {
  /** Name of the cluster: trust domain of the identities, DNS label. */
  cluster: string;
  /** HOST:PORT at which the API server of the cluster is reached. */
  apiEndpoint: string;
  /** Service network, CIDR. */
  serviceCidr: string;
  /** DNS domain of the cluster. */
  dnsDomain: string;
  /** kubeadm's folder of an existing cluster whose CAs are imported; undefined makes new ones. */
  adopt: string | undefined;
  /** Hosts at which agents reach this server; empty lets init choose. */
  advertise: readonly string[];
}
