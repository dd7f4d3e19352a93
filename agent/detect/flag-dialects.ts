/** How the programs read their flags; booleans as their own --help lists them (v1.20.2, etcd 3.4.23) and later ones that concern TLS. */
import type { FlagDialect } from './flags.ts';

const COMMON =
  'add-dir-header alsologtostderr contention-profiling experimental-logging-sanitization help logtostderr one-output ' +
  'profiling skip-headers skip-log-headers';

/** kube-apiserver; kube-controller-manager and kube-scheduler too. */
export const apiserverDialect: FlagDialect = {
  style: 'pflag',
  booleans: namesIn(
    `${COMMON} allow-privileged anonymous-auth audit-log-batch-throttle-enable audit-log-compress audit-log-truncate-enabled
    audit-webhook-batch-throttle-enable audit-webhook-truncate-enabled authentication-tolerate-lookup-failure
    authentication-skip-lookup disable-http2-serving enable-aggregator-routing enable-bootstrap-token-auth
    enable-garbage-collector enable-logs-handler enable-priority-and-fairness enable-swagger-ui
    encryption-provider-config-automatic-reload kubelet-https leader-elect permit-address-sharing permit-port-sharing
    service-account-extend-token-expiration service-account-lookup use-service-account-credentials watch-cache`,
  ),
};

/** kube-proxy. */
export const proxyDialect: FlagDialect = {
  style: 'pflag',
  booleans: namesIn(
    `${COMMON} bind-address-hard-fail cleanup cleanup-iptables cleanup-ipvs enable-dsr init-only ipvs-strict-arp
    iptables-localhost-nodeports masquerade-all`,
  ),
};

/** kubelet. */
export const kubeletDialect: FlagDialect = {
  style: 'pflag',
  booleans: namesIn(
    `${COMMON} anonymous-auth authentication-token-webhook cgroups-per-qos cpu-cfs-quota docker-only docker-tls
    enable-cadvisor-json-endpoints enable-controller-attach-detach enable-debugging-handlers enable-load-reader
    enable-server exit-on-lock-contention experimental-allocatable-ignore-eviction
    experimental-check-node-capabilities-before-mount experimental-kernel-memcg-notification fail-swap-on
    keep-terminated-pod-volumes kernel-memcg-notification log-cadvisor-usage make-iptables-util-chains
    protect-kernel-defaults really-crash-for-testing redirect-container-streaming register-node register-schedulable
    rotate-certificates rotate-server-certificates runonce seccomp-default serialize-image-pulls storage-driver-secure`,
  ),
};

/** etcd. */
export const etcdDialect: FlagDialect = {
  style: 'go',
  booleans: namesIn(
    `auto-tls client-cert-auth debug enable-pprof enable-v2 experimental-enable-lease-checkpoint
    experimental-initial-corrupt-check experimental-peer-skip-client-san-verification force-new-cluster h help
    initial-election-tick-advance peer-auto-tls peer-client-cert-auth peer-skip-client-san-verification pre-vote
    strict-reconfig-check unsafe-no-fsync version`,
  ),
};

function namesIn(text: string): ReadonlySet<string> {
  return new Set(text.trim().split(/\s+/));
}
