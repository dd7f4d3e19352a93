/** Whether an address is one of those that a question is about. */
import { isIP } from 'node:net';
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
  /** Those of the endpoints at which another server may answer too; none unless given. */
  sharedEndpoints?: readonly string[];
}

/** Where to connect; a host without brackets. */
interface HostPort {
  host: string;
  port: number;
}

/** The addresses of a question; those that are no host and port are left out. */
export function endpointsOfQuestion(question: Named): HostPort[] {
  return question.endpoints.flatMap((text) => parseHostPort(text, DEFAULT_PORT[question.component]) ?? []);
}

/** True when the question is about this host and port. */
export function namesEndpoint(question: Named, endpoint: HostPort): boolean {
  return isAmong(endpointsOfQuestion(question), endpoint);
}

/** The addresses of a question at which nobody else can answer: a name may stand for several addresses, so it is none of them. */
export function ownEndpoints(question: Named): HostPort[] {
  const shared = sharedEndpoints(question);
  return endpointsOfQuestion(question).filter((each) => isIP(each.host) !== 0 && !isAmong(shared, each));
}

/** True for an address at which nobody else can answer. */
export function isOwnEndpoint(question: Named, endpoint: HostPort): boolean {
  return isAmong(ownEndpoints(question), endpoint);
}

/** True for an address at which the component answers, and others too. */
export function isSharedEndpoint(question: Named, endpoint: HostPort): boolean {
  return isAmong(sharedEndpoints(question), endpoint);
}

function sharedEndpoints({ component, sharedEndpoints: shared = [] }: Named): HostPort[] {
  return endpointsOfQuestion({ component, endpoints: shared });
}

function isAmong(endpoints: readonly HostPort[], { host, port }: HostPort): boolean {
  return endpoints.some((each) => each.host === host && each.port === port);
}
