/** The configuration file that init writes: every setting with what it does, those at their default commented out. */
import type { AdminOrganization, KubeletClientOrganization } from './server-config.ts';

/** What init knows. */
export interface ConfigOptions {
  clusterName: string;
  /** HOST:PORT. */
  apiEndpoint: string;
  serviceCidr: string;
  dnsDomain: string;
  /** How many nodes will join; undefined when nobody knows. */
  nodes?: number | undefined;
  advertise: readonly [string, ...string[]];
  stateFolder: string;
  apiServerExtraNames: readonly string[];
  kubeletClientOrganization: KubeletClientOrganization;
  adminOrganization: AdminOrganization;
}

/** The YAML text; parseServerConfig reads it. */
export function renderServerConfig(options: ConfigOptions): string {
  return `# Configuration of kube-mtls-server, written by "kube-mtls-server init". Unknown fields are refused.
# Check an edit with "kube-mtls-server --check-config", then "systemctl restart kube-mtls-server".

cluster:
  # Also the trust domain of every identity: it cannot change after nodes have joined.
  name: ${scalar(options.clusterName)}
  # HOST:PORT at which clients reach the API server; its host stands in the API servers' certificates.
  apiEndpoint: ${scalar(options.apiEndpoint)}
  # --service-cluster-ip-range of the API server; its first address stands in their certificates too.
  serviceCidr: ${scalar(options.serviceCidr)}
  dnsDomain: ${scalar(options.dnsDomain)}
  # How many nodes will join. API servers wait for the kubelets of them all, half an hour after the last that joined at most, and
  # verify them from their first restart on. Without it they begin to with a later one.
  ${options.nodes === undefined ? '#nodes: 10' : `nodes: ${options.nodes}`}

# Names and addresses of this server. Its certificate covers them all; nodes are told the first.
advertise:${list(options.advertise, 2)}

# Where it listens: bootstrap for joining nodes, fleet for everything else.
#listen:
#  bootstrap: "0.0.0.0:9443"
#  fleet: "0.0.0.0:9444"

# Connections at once from one address (an IPv6 /64 is one). Nodes that join behind one address take turns; agents keep
# their connection, so where more come through one address translation or load balancer, raise fleet (4096 are all).
#connectionsPerAddress:
#  bootstrap: 32
#  fleet: 1024

stateFolder: ${scalar(options.stateFolder)}
# Passphrase of the CA keys. By default the systemd credential "ca-passphrase", else /etc/kube-mtls/ca-passphrase.
#passphraseFile: /etc/kube-mtls/ca-passphrase

# How long certificates live; agents renew at two thirds. 10m to 3650d, never beyond the CA.
#lifetimes:
#  components: 365d
#  # For single profiles, as kubelet-client or etcd-peer.
#  profiles: {}
#  identity: 30d
#  admin: 365d
#  server: 90d

apiServer:
  # Names and addresses that API servers' certificates carry besides the node's own and those of Kubernetes.
  extraNames:${list(options.apiServerExtraNames, 4)}
  # Organization of the certificate with which API servers call kubelets: system:masters, kubeadm:cluster-admins or none.
  # Clusters made before Kubernetes 1.29 bind system:masters and nothing else.
  kubeletClientOrganization: ${scalar(options.kubeletClientOrganization)}
  # Organization of the certificate in admin.conf: system:masters, or kubeadm:cluster-admins where the cluster binds that
  # to cluster-admin (kubeadm since 1.29).
  adminOrganization: ${scalar(options.adminOrganization)}

# Names and addresses that etcd members' certificates carry besides the node's own.
#etcd:
#  extraNames: []

# Restart permits: one etcd member and one API server at a time, kubelets up to this share. A permit older than maxAge warns,
# and holds up no other kubelet.
#permits:
#  kubeletShare: 10%
#  ttl: 2m
#  maxAge: 30m

# How long the agents of other nodes watch their journals after a change before they say that all is well.
#peers:
#  watch: 15s

# Whether API servers check the certificates of kubelets: auto (once every kubelet has one of ours, from the API server's next
# restart on), always (at once; the API server is restarted for it) or never.
#verifyKubelets: auto

# error, warn, info or debug.
#logLevel: info
`;
}

/** Double-quoted YAML, of which JSON strings are a part. */
function scalar(text: string): string {
  return JSON.stringify(text);
}

function list(values: readonly string[], indent: number): string {
  if (values.length === 0) return ' []';
  return values.map((value) => `\n${' '.repeat(indent)}- ${scalar(value)}`).join('');
}
