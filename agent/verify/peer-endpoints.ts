/** Whether an address is one of those that a question is about. */
import { parseHostPort } from './endpoints.ts';

/** Ports of components that are named without one. */
const DEFAULT_PORT = { etcd: 2379, 'kube-apiserver': 6443, kubelet: 10250 } as const;

/** What a question names. */
interface Named {
  component: keyof typeof DEFAULT_PORT;
  endpoints: readonly string[];
}

/** The addresses of a question; those that are no host and port are left out. */
export function endpointsOfQuestion(question: Named): { host: string; port: number }[] {
  return question.endpoints.flatMap((text) => parseHostPort(text, DEFAULT_PORT[question.component]) ?? []);
}

/** True when the question is about this host and port. */
export function namesEndpoint(question: Named, { host, port }: { host: string; port: number }): boolean {
  return endpointsOfQuestion(question).some((named) => named.host === host && named.port === port);
}
