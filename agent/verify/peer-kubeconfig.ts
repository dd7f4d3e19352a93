/** What the callers by kubeconfig call: the API server that it names, with the trust and the client certificate named there. */
import { parseCertificate } from '../../common/x509/certificate.ts';
import type { Detected } from '../detect/detected.ts';
import { type Endpoint, hostPort } from './endpoints.ts';
import { parseKubeconfig, readConnection } from './kubeconfig.ts';
import { kubeconfigsOf } from './kubeconfigs-of.ts';
import { isOwnEndpoint, isSharedEndpoint, ownEndpoints } from './peer-endpoints.ts';
import type { PeerCall, PeerCalls, PeerQuestion } from './peer-probe.ts';
import type { ProbeTls } from './probe.ts';

/** Calls at a shared address until the API server in question answers: with three of them one of six meets it nearly always. */
const MOST_CALLS = 6;

/**
 * The calls of a component by each of its kubeconfigs. Where that names the API server in question itself, its serial counts. Else
 * another API server may answer there, and only what comes under the serial in question counts; where the question names that
 * address too, the API server is called at its own addresses as well, by the name that the kubeconfig verifies.
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
    const tls = { trust: { kind: 'roots' as const, pem: rootsPem, name: server.name }, client };
    found.calls.push(...callsTo(server, tls, question, detected));
  }
  return found;
}

function callsTo(server: Endpoint, tls: ProbeTls, question: PeerQuestion, { component }: Detected): PeerCall[] {
  const source = `${component} to https://${hostPort(server)}`;
  const call = { source, endpoint: server, path: '/readyz', tls, serial: question.serial };
  if (isOwnEndpoint(question, server)) return [call];
  if (!isSharedEndpoint(question, server)) return [{ ...call, amongOthers: 1 }];
  const { scheme, name } = server;
  const own = ownEndpoints(question).map(({ host, port }): PeerCall => {
    const endpoint = { scheme, host, port, name };
    return { ...call, endpoint, source: `${component} to https://${hostPort(endpoint)} as ${name}` };
  });
  return [...own, { ...call, amongOthers: MOST_CALLS }];
}
