/** What the callers by kubeconfig call: the API server that it names, with the trust and the client certificate named there. */
import { parseCertificate } from '../../common/x509/certificate.ts';
import type { Detected } from '../detect/detected.ts';
import { hostPort } from './endpoints.ts';
import { parseKubeconfig, readConnection } from './kubeconfig.ts';
import { kubeconfigsOf } from './kubeconfigs-of.ts';
import { namesEndpoint } from './peer-endpoints.ts';
import type { PeerCalls, PeerQuestion } from './peer-probe.ts';

/**
 * The calls of a component, one for each of its kubeconfigs. The server may be a load balancer, behind which another API server
 * may answer: the serial counts only where the kubeconfig names the server in question itself.
 *
 * @throws AppError not-found or invalid-request when a kubeconfig cannot be used
 */
export async function callsByKubeconfig(question: PeerQuestion, detected: Detected, nowMs: number): Promise<PeerCalls> {
  const found: PeerCalls = { concerned: false, calls: [], notes: [] };
  if (question.component !== 'kube-apiserver') return found;
  for (const { file } of kubeconfigsOf(detected)) {
    found.concerned = true;
    const connection = parseKubeconfig(file);
    const { rootsPem, client } = await readConnection(connection);
    const { server } = connection;
    if (rootsPem === undefined || client === undefined) {
      found.notes.push(`${file.path} names no CA or no client certificate, so nothing is tried with it`);
      continue;
    }
    const { notAfter } = parseCertificate(client.certPem);
    if (notAfter.getTime() < nowMs) {
      // refused by every API server, whatever that one's own files are
      found.notes.push(`${file.path} names a client certificate that ended at ${notAfter.toISOString()}`);
      continue;
    }
    found.calls.push({
      source: `${detected.component} to https://${hostPort(server)}`,
      endpoint: server,
      path: '/readyz',
      tls: { trust: { kind: 'roots', pem: rootsPem, name: server.name }, client },
      serial: namesEndpoint(question, server) ? question.serial : undefined,
    });
  }
  return found;
}
