/** Remembers what a component serves before a change, so that an undo can prove that it serves the same again. */
import type { Detected } from '../detect/detected.ts';
import type { LiveDeps } from './check-handshake.ts';
import { apiserverEndpoints, type Endpoint, etcdClientEndpoints, kubeletEndpoints } from './endpoints.ts';
import { PROBE_MS } from './handshake-probes.ts';

/** SHA-256 of the certificate served (hexadecimal), 'plaintext', or 'nothing' when it does not answer. */
export type ServedBefore = { sha256: string } | 'plaintext' | 'nothing';

/** Asks the component on the first address at which it serves. */
export async function servedBefore(
  { probe }: LiveDeps,
  detected: Detected,
  signal: AbortSignal,
): Promise<ServedBefore> {
  const endpoint = endpointsOf(detected)[0];
  if (endpoint === undefined) return 'nothing';
  const { host, port } = endpoint;
  const request = { host, port, method: 'GET', path: '/version', timeoutMs: PROBE_MS, signal } as const;
  const secure = await probe({ ...request, tls: { trust: { kind: 'unverified' } } });
  if ('served' in secure && secure.served !== undefined) return { sha256: secure.served.sha256 };
  const plain = await probe({ ...request, tls: undefined });
  return plain.kind === 'answered' ? 'plaintext' : 'nothing';
}

function endpointsOf(detected: Detected): Endpoint[] {
  switch (detected.component) {
    case 'etcd':
      return etcdClientEndpoints(detected.effectiveSettings, 'prepared');
    case 'kube-apiserver':
      return apiserverEndpoints(detected);
    case 'kubelet':
      return kubeletEndpoints(detected);
  }
}
