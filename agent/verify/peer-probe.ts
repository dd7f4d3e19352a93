/**
 * The word of a peer: this node's own components talk to a component of another node, with the credentials and the trust
 * that they have now. A serving certificate that nobody trusts is silent on its own host; here it is heard.
 */
import { AppError } from '../../common/errors/app-error.ts';
import type { Component } from '../../common/names/names.ts';
import type { Detected } from '../detect/detected.ts';
import type { LiveDeps } from './check-handshake.ts';
import type { EvidenceLine } from './checks.ts';
import type { Endpoint } from './endpoints.ts';
import { describeOutcome, firstWords, PROBE_MS } from './handshake-probes.ts';
import { callsOfApiserver } from './peer-apiserver.ts';
import { callsOfEtcd } from './peer-etcd.ts';
import { callsByKubeconfig } from './peer-kubeconfig.ts';
import type { ProbeOutcome, ProbeTls } from './probe.ts';

/** What is asked about another node's component. */
export interface PeerQuestion {
  component: Component;
  /** "host:port" at which it serves. */
  endpoints: string[];
  /** Those of the endpoints at which another server may answer too; none unless given. */
  sharedEndpoints?: string[];
  /** Serial that its new connections must show, lower-case hexadecimal without leading zeros; '' for any. */
  serial: string;
}

/** What this node has to say. */
export interface PeerWord {
  /** True when something here talks to the component. */
  concerned: boolean;
  /** Calls that were answered as they should be. */
  confirmations: EvidenceLine[];
  /** Calls that failed because of a certificate: ours refused, or theirs not trusted or not the new one. */
  complaints: EvidenceLine[];
  /** What says nothing either way: nobody answered, or a file here cannot be read. */
  notes: EvidenceLine[];
}

/** A call that a component of this node makes to the component in question. */
export interface PeerCall {
  /** Who calls whom: "kubelet to https://10.0.0.1:6443". */
  source: string;
  endpoint: Endpoint;
  path: string;
  tls: ProbeTls;
  /** Serial that has to be shown; undefined where another certificate may be shown there. */
  serial: string | undefined;
  /**
   * The most calls until the component in question is met, at an address at which other servers may answer: there it is known by its
   * serial only, and what was met without that says nothing against it. Undefined at an address that can be nobody else's.
   */
  amongOthers?: number;
}

/** The calls of one component of this node, and what kept others from being made. */
export interface PeerCalls {
  concerned: boolean;
  calls: PeerCall[];
  /** Sentences for a person. */
  notes: string[];
}

/**
 * Makes the calls that this node's components make to the component in question.
 *
 * @throws AbortError when the signal fires
 */
export async function probeAsPeer(
  deps: LiveDeps,
  question: PeerQuestion,
  components: readonly Detected[],
  signal: AbortSignal,
): Promise<PeerWord> {
  const word: PeerWord = { concerned: false, confirmations: [], complaints: [], notes: [] };
  const line = (source: string, text: string): EvidenceLine => {
    return { source, line: text.slice(0, 1000), observedAtMs: deps.clock.nowMs(), cause: '', rank: 'proof' };
  };
  for (const detected of components) {
    try {
      const { concerned, calls, notes } = await callsOf(deps, question, detected, signal);
      word.concerned ||= concerned;
      for (const note of notes) word.notes.push(line(detected.component, note));
      for (const call of calls) {
        const { verdict, text } = judge(call, await make(deps, call, signal));
        word[verdict].push(line(call.source, text));
      }
    } catch (error) {
      if (!(error instanceof AppError)) throw error;
      word.concerned = true; // it would talk to the component, and something on this node is broken
      word.notes.push(line(detected.component, error.message));
    }
  }
  return word;
}

function callsOf(deps: LiveDeps, question: PeerQuestion, detected: Detected, signal: AbortSignal): Promise<PeerCalls> {
  switch (detected.component) {
    case 'kube-controller-manager':
    case 'kube-scheduler':
    case 'kubelet':
    case 'kube-proxy':
      return callsByKubeconfig(question, detected, deps.clock.nowMs());
    case 'admin':
      // nothing calls by itself, and an old kubeconfig that somebody left on a node must not hold up every API server
      return Promise.resolve({ concerned: false, calls: [], notes: [] });
    case 'kube-apiserver':
      return callsOfApiserver(question, detected);
    case 'etcd':
      return callsOfEtcd(deps.probe, question, detected, signal);
  }
}

/** Calls, again where another server answered. */
async function make(deps: LiveDeps, call: PeerCall, signal: AbortSignal): Promise<ProbeOutcome> {
  const { host, port } = call.endpoint;
  const request = { host, port, tls: call.tls, method: 'GET', path: call.path, timeoutMs: PROBE_MS } as const;
  const mostCalls = call.serial === '' ? 1 : (call.amongOthers ?? 1);
  for (let left = mostCalls - 1; ; left--) {
    const outcome = await deps.probe({ ...request, signal });
    if (left <= 0 || outcome.kind === 'unreachable' || servedSerial(outcome) === call.serial) return outcome;
  }
}

function servedSerial(outcome: ProbeOutcome): string | undefined {
  return outcome.kind === 'unreachable' ? undefined : outcome.served?.serial;
}

interface Judgement {
  verdict: 'confirmations' | 'complaints' | 'notes';
  text: string;
}

function judge(call: PeerCall, outcome: ProbeOutcome): Judgement {
  if (call.amongOthers === undefined) return judgeOwn(call, outcome);
  const judgement = judgeOwn({ ...call, serial: undefined }, outcome);
  if (judgement.verdict !== 'complaints' || servedSerial(outcome) === call.serial) return judgement;
  return { verdict: 'notes', text: `${judgement.text}, which another server may have said` };
}

function judgeOwn(call: PeerCall, outcome: ProbeOutcome): Judgement {
  const text = describeOutcome(outcome);
  switch (outcome.kind) {
    case 'unreachable':
      return { verdict: 'notes', text };
    case 'untrusted':
      return { verdict: 'complaints', text };
    case 'refused':
      // Only an alert is about a certificate; a reset or a plaintext port may be a restart or a member yet to change.
      return { verdict: outcome.by === 'tls-alert' ? 'complaints' : 'notes', text };
    case 'answered':
      if (outcome.status === 401) return { verdict: 'complaints', text: `${text} "${firstWords(outcome.body)}"` };
      if (call.serial !== undefined && call.serial !== '' && outcome.served?.serial !== call.serial) {
        return { verdict: 'complaints', text: `${text}, instead of serial ${call.serial}` };
      }
      return { verdict: outcome.status >= 500 ? 'notes' : 'confirmations', text };
  }
}
