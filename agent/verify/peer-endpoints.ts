/** Whether an address is one of those that a question is about. */
import type { Component } from '../../common/names/names.ts';
import { parseHostPort } from './endpoints.ts';

/** Ports of components that are named without one; 0 for what others cannot call. */
const DEFAULT_PORT: Record<Component, number> = {
  etcd: 2379,
  'kube-apiserver': 6443,
  'kube-controller-manager': 10257,
  'kube-scheduler': 10259,
  kubelet: 10250,
  'kube-proxy': 0,
  admin: 0,
};

/** What a question names. */
interface Named {
  component: Component;
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
