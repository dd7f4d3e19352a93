/** What a kubelet calls: the API server of its kubeconfig, with the trust and the client certificate named there. */
import type { DetectedKubelet } from '../detect/detected.ts';
import { hostPort } from './endpoints.ts';
import { parseKubeconfig, readConnection } from './kubeconfig.ts';
import { namesEndpoint } from './peer-endpoints.ts';
import type { PeerCalls, PeerQuestion } from './peer-probe.ts';

/**
 * The calls of a kubelet. Its server may be a load balancer, behind which another API server may answer: the serial counts
 * only where the kubeconfig names the server in question itself.
 *
 * @throws AppError not-found or invalid-request when its kubeconfig cannot be used
 */
export async function callsOfKubelet(question: PeerQuestion, detected: DetectedKubelet): Promise<PeerCalls> {
  if (question.component !== 'kube-apiserver') return { concerned: false, calls: [], notes: [] };
  const connection = parseKubeconfig(detected.kubeconfig);
  const { rootsPem, client } = await readConnection(connection);
  const { server } = connection;
  if (rootsPem === undefined || client === undefined) {
    const note = `${detected.kubeconfig.path} names no CA or no client certificate, so nothing is tried with it`;
    return { concerned: true, calls: [], notes: [note] };
  }
  const call = {
    source: `kubelet to https://${hostPort(server)}`,
    endpoint: server,
    path: '/readyz',
    tls: { trust: { kind: 'roots' as const, pem: rootsPem, name: server.name }, client },
    serial: namesEndpoint(question, server) ? question.serial : undefined,
  };
  return { concerned: true, calls: [call], notes: [] };
}
