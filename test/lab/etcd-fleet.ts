/** A small fleet: a host with the CA server, and a host with one plaintext etcd whose agent only observes at first. */
import { startPlainEtcd } from './etcd-cluster.ts';
import { installPackage, joinLine, startServer } from './fleet.ts';
import { FleetView } from './fleet-view.ts';
import type { Host } from './host.ts';
import { Operator } from './operator.ts';
import type { LabSteps } from './steps.ts';

/** Where the certificates of an adopted etcd are. */
export const ETCD_PKI = '/etc/kube-mtls/pki/etcd/current';
const OURS = `/etc/systemd/system/etcd.service.d/50-kube-mtls.conf /etc/kube-mtls/etcd.env ${ETCD_PKI}`;
const KEPT = 'what was written before anything was changed';
const VERIFIED_MS = 240_000;

/** The fleet while a suite runs; the hosts may be replaced by their successors. */
export interface EtcdFleet {
  server: Host;
  etcd: Host;
  operator: Operator;
  view: FleetView;
}

/**
 * Declares that the suite has such a fleet: hosts `ca` and `e1`.
 *
 * @param settings - further settings of server.yaml, YAML
 * @param start - starts the etcd
 */
export function onEtcdFleet(
  { lab, prepare, atEnd }: LabSteps,
  {
    settings = '',
    start = (etcd) => startPlainEtcd([etcd]),
  }: { settings?: string; start?: (etcd: Host) => Promise<void> } = {},
): () => EtcdFleet {
  let fleet: EtcdFleet | undefined;
  atEnd(() => fleet?.operator.close());
  prepare(async () => {
    const server = await lab().boot('ca', '10.77.0.71');
    const etcd = await lab().boot('e1', '10.77.0.72');
    await start(etcd);
    await etcd.sh(`ETCDCTL_API=3 etcdctl put /kept '${KEPT}'`);
    await startServer(server, { cluster: 'small', apiEndpoint: `${server.ip}:6443`, peerWatch: '1s', settings });
    const operator = await Operator.of(server);
    fleet = { server, etcd, operator, view: new FleetView(operator) };
    await installPackage(etcd, 'agent');
    await etcd.sh(`${await joinLine(server, '--role etcd --node e1')} --observe`);
    await fleet.view.until('e1', 'etcd', ['DETECTED', 'FAILED'], 60_000); // failed: plan tells why it is left alone
  });
  return () => {
    if (fleet === undefined) throw new Error('the fleet is not there yet');
    return fleet;
  };
}

/**
 * Waits until etcd is VERIFIED and nothing is left to do, and asks it for what was written before, over mutual TLS. Returns its process.
 * A plaintext etcd is VERIFIED once before: when it is prepared to dial its peers over TLS.
 */
export async function untilVerified({ etcd, view }: EtcdFleet, mostMs = VERIFIED_MS): Promise<string> {
  const hasNoPlan = async () => (await etcd.run(['kube-mtls-agent', 'plan'])).code === 0;
  await etcd.until('nothing to be left to do', hasNoPlan, mostMs);
  await view.until('e1', 'etcd', ['VERIFIED'], mostMs);
  await etcd.until('etcd to have its data', async () => (await etcd.sh(overTls('get /kept'))).includes(KEPT));
  return await pidOf(etcd);
}

/** Throws unless etcd answers in plaintext, has its data, and nothing of ours is there. Returns its process. */
export async function assertPlain(etcd: Host): Promise<string> {
  await etcd.until('etcd in plaintext', async () =>
    (await etcd.sh('curl -s http://127.0.0.1:2379/health')).includes('"true"'),
  );
  const kept = await etcd.sh('ETCDCTL_API=3 etcdctl get /kept');
  if (!kept.includes(KEPT)) throw new Error(`etcd has lost its data: ${kept}`);
  const left = (await etcd.run(['bash', '-c', `ls -d ${OURS}`])).stdout;
  if (left !== '') throw new Error(`something of the change is left: ${left}`);
  return await pidOf(etcd);
}

/** A call of etcdctl with the credentials of health checks. */
export function overTls(words: string): string {
  const [ca, cert, key] = ['client-ca.crt', 'healthcheck-client.crt', 'healthcheck-client.key'];
  const files = `--cacert ${ETCD_PKI}/${ca} --cert ${ETCD_PKI}/${cert} --key ${ETCD_PKI}/${key}`;
  return `ETCDCTL_API=3 etcdctl --endpoints https://127.0.0.1:2379 ${files} ${words}`;
}

/** The main process of etcd's unit; 0 when there is none. */
export async function pidOf(etcd: Host): Promise<string> {
  return (await etcd.sh('systemctl show -p MainPID --value etcd')).trim();
}
