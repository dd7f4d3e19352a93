/** Talking to this node's own etcd member, whatever it speaks at the moment. */
import { AppError } from '../../common/errors/app-error.ts';
import type { DetectedEtcd } from '../detect/detected.ts';
import { componentFolder, type Layout } from '../layout.ts';
import type { MemberUpdate } from '../plan/change.ts';
import type { EtcdCluster } from '../plan/plan-input.ts';
import type { Direction } from '../stage/transaction.ts';
import { readCredentialFiles, readPem } from './credentials.ts';
import { type Endpoint, etcdHttpEndpoints, hostPort } from './endpoints.ts';
import { type EtcdAccess, listMembers, updateMember } from './etcd-members.ts';
import { type Probe, probe as probeOnce } from './probe.ts';

/** How to reach the local member with the settings that are in force: ours when it has them, else whatever files it names itself. */
export async function localEtcdAccess(layout: Layout, detected: DetectedEtcd): Promise<EtcdAccess> {
  const endpoint = etcdHttpEndpoints(detected.effectiveSettings, 'prepared')[0];
  if (endpoint === undefined)
    throw new AppError('invalid-request', 'etcd listens on no http or https URL: set listen-client-urls');
  return accessOf(layout, detected, endpoint);
}

/** The cluster as the local member tells it; undefined when it does not answer. */
export async function localEtcdCluster(
  layout: Layout,
  detected: DetectedEtcd,
  signal: AbortSignal,
  probe: Probe = probeOnce,
): Promise<EtcdCluster | undefined> {
  try {
    return await listMembers(await localEtcdAccess(layout, detected), signal, probe);
  } catch (error) {
    if (error instanceof AppError) return undefined;
    throw error;
  }
}

/**
 * Makes the cluster know the member's peer URLs of a direction. The local member is asked as it speaks now; on the way back also as
 * it spoke before, and then every other member that lists a client URL. Nothing is done when they are known so already.
 *
 * @throws AppError the last failure when nobody could do it
 */
export async function updateLocalMember(
  layout: Layout,
  detect: () => Promise<DetectedEtcd | undefined>,
  update: MemberUpdate,
  direction: Direction,
  signal: AbortSignal,
  probe: Probe = probeOnce,
): Promise<void> {
  const urls = direction === 'forward' ? update.after : update.before;
  const detected = await detect();
  if (detected === undefined) throw new AppError('unavailable', 'there is no etcd unit on this node any more');
  let failure: unknown;
  for (const access of await accesses(layout, detected, signal, probe)) {
    try {
      const { members } = await listMembers(access, signal, probe);
      const known = members.find(({ id }) => id === update.memberId)?.peerUrls ?? [];
      if (known.toSorted().join() === urls.toSorted().join()) return;
      await updateMember(access, update.memberId, urls, signal, probe);
      return;
    } catch (error) {
      signal.throwIfAborted();
      failure = error;
    }
  }
  throw failure ?? new AppError('unavailable', 'no etcd member can be asked');
}

/** The local member over what is in force and over what is running still, then the others; without those that we lack files for. */
async function accesses(
  layout: Layout,
  detected: DetectedEtcd,
  signal: AbortSignal,
  probe: Probe,
): Promise<EtcdAccess[]> {
  const local = etcdHttpEndpoints(detected.effectiveSettings, 'prepared');
  const before = etcdHttpEndpoints(detected.settings, 'prepared');
  // a configuration file that was edited in place says https already while the process that runs has read http
  const plain = local.map((endpoint): Endpoint => ({ ...endpoint, scheme: 'http' }));
  const found: EtcdAccess[] = [];
  for (const endpoint of [...local, ...before, ...plain]) {
    const access = await accessOf(layout, detected, endpoint).catch(unusable);
    if (access !== undefined && !found.some(({ url, name }) => url === access.url && name === access.name)) {
      found.push(access);
    }
  }
  const tls = await tlsOf(layout, detected).catch(unusable);
  for (const access of [...found]) {
    const cluster = await listMembers(access, signal, probe).catch(() => undefined);
    if (cluster === undefined) continue;
    const others = cluster.members.filter(({ id }) => id !== cluster.memberId).flatMap(({ clientUrls }) => clientUrls);
    for (const url of others) {
      if (!url.startsWith('https:')) found.push({ url });
      else if (tls !== undefined) found.push({ url, ...tls });
    }
    break;
  }
  return found;
}

/** For the catch of credentials that cannot be read: another access may do. */
function unusable(error: unknown): undefined {
  if (!(error instanceof AppError)) throw error;
}

async function accessOf(layout: Layout, detected: DetectedEtcd, endpoint: Endpoint): Promise<EtcdAccess> {
  const url = `${endpoint.scheme}://${hostPort(endpoint)}`;
  return endpoint.scheme === 'http' ? { url } : { url, name: endpoint.name, ...(await tlsOf(layout, detected)) };
}

/** Our health check certificate, or, in a cluster that had TLS before us, the member's own. */
async function tlsOf(layout: Layout, detected: DetectedEtcd): Promise<Pick<EtcdAccess, 'tls'>> {
  const ours = `${componentFolder(layout, 'etcd')}/current`;
  try {
    const client = await readCredentialFiles(`${ours}/healthcheck-client.crt`, `${ours}/healthcheck-client.key`);
    return { tls: { rootsPem: await readPem(`${ours}/client-ca.crt`), client } };
  } catch {
    const path = (name: string) => detected.effectiveSettings.get(name)?.value ?? '';
    const client = await readCredentialFiles(path('cert-file'), path('key-file'));
    return { tls: { rootsPem: await readPem(path('trusted-ca-file')), client } };
  }
}
