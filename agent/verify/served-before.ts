/** Remembers what a component serves before a change, so that an undo can prove that it serves the same again. */
import { AppError } from '../../common/errors/app-error.ts';
import type { Detected } from '../detect/detected.ts';
import type { LiveDeps } from './check-handshake.ts';
import { get, PROBE_MS } from './handshake-probes.ts';
import { parseKubeconfig, readConnection } from './kubeconfig.ts';
import { kubeconfigsOf } from './kubeconfigs-of.ts';
import type { Probe, ProbeOutcome } from './probe.ts';
import { isSelfMade } from './self-made.ts';
import { servingEndpoints } from './serving-endpoints.ts';

/**
 * SHA-256 of the certificate served (hexadecimal); 'throwaway' for one that is made anew at each start; 'plaintext';
 * 'believed' for what serves nothing and is known to its API server; 'nothing' when it does not answer or is not known.
 */
export type ServedBefore = { sha256: string } | 'throwaway' | 'plaintext' | 'believed' | 'nothing';

/** Asks the component on the first address at which it serves, or calls as it does where it serves nothing. */
export async function servedBefore(
  { probe }: LiveDeps,
  detected: Detected,
  signal: AbortSignal,
): Promise<ServedBefore> {
  if (detected.component === 'kube-proxy' || detected.component === 'admin') {
    const answers = await callAsBefore(probe, detected, signal);
    return answers.length > 0 && answers.every(({ outcome }) => isBelieved(outcome)) ? 'believed' : 'nothing';
  }
  const endpoint = servingEndpoints(detected)[0];
  if (endpoint === undefined) return 'nothing';
  const { host, port } = endpoint;
  const request = { host, port, method: 'GET', path: '/version', timeoutMs: PROBE_MS, signal } as const;
  const secure = await probe({ ...request, tls: { trust: { kind: 'unverified' } } });
  if ('served' in secure && secure.served !== undefined) {
    return isThrowaway(detected) ? 'throwaway' : { sha256: secure.served.sha256 };
  }
  const plain = await probe({ ...request, tls: undefined });
  return plain.kind === 'answered' ? 'plaintext' : 'nothing';
}

/**
 * GET /apis with every kubeconfig of a component that shows a client certificate, as it was detected; what cannot be used at
 * all ends as unreachable.
 */
export async function callAsBefore(
  probe: Probe,
  detected: Detected,
  signal: AbortSignal,
): Promise<{ source: string; outcome: ProbeOutcome }[]> {
  const answers: { source: string; outcome: ProbeOutcome }[] = [];
  for (const { file } of kubeconfigsOf(detected)) {
    try {
      const connection = parseKubeconfig(file);
      const { rootsPem, client } = await readConnection(connection);
      if (rootsPem === undefined || client === undefined) continue; // it has a token or the like, which we do not read
      const ask = { endpoint: connection.server, path: '/apis', rootsPem, client, signal };
      answers.push({ source: file.path, outcome: await get(probe, ask) });
    } catch (error) {
      if (!(error instanceof AppError)) throw error;
      answers.push({ source: file.path, outcome: { kind: 'unreachable', detail: error.message } });
    }
  }
  return answers;
}

/** True for the answer to a caller who is known. */
export function isBelieved(outcome: ProbeOutcome): boolean {
  return outcome.kind === 'answered' && outcome.status === 200;
}

/** API server and kubelet keep what they made in files (--cert-dir), and so do managers that are given such a folder. */
function isThrowaway(detected: Detected): boolean {
  const manager = detected.component === 'kube-controller-manager' || detected.component === 'kube-scheduler';
  return manager && isSelfMade(detected) && !detected.effectiveFlags.has('cert-dir');
}
