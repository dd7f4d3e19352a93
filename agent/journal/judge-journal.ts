/** The journal as a proof: whether a component's new process says that it serves, and nothing against it. */
import type { Component } from '../../common/names/names.ts';
import type { Target } from '../plan/change.ts';
import type { CheckOutcome } from '../verify/checks.ts';
import { classify } from './classify.ts';
import { evidenceLine } from './evidence-line.ts';
import type { Finding, Sign } from './finding.ts';
import { hostOf, isLoopback } from './host-port.ts';
import type { JournalEntry } from './journal-entry.ts';

/** What is judged. */
export interface JudgeJournalOptions {
  component: Component;
  /** "etcd.service", "etcd-cp1". */
  unit: string;
  /** Its entries after a cursor taken before the restart, or since the new files were switched to, oldest first. */
  entries: readonly JournalEntry[];
  /** Of the new process, '' when unknown. Entries of a container's log have none and count all. */
  invocationId: string;
  /** 'prepared': an etcd that shall still speak plaintext; 'trusting': leaves are not ours yet. */
  target: Target;
  /** True when the process that ran before has taken new files up: it does not start, so it need not say that it serves. */
  live?: boolean;
  /** This node's addresses, without loopback, which always counts. */
  ownAddresses: readonly string[];
  /**
   * Addresses of other nodes whose components must be able to connect: other members and API servers for etcd, API servers
   * for kubelet. Being refused by these or refusing these is a failure; strangers are not.
   */
  peersExpected: readonly string[];
}

/** An entry with what it says. */
interface Said {
  entry: JournalEntry;
  finding: Finding;
}

const MOST_EVIDENCE = 8;

/** Of which any shows that a start has come to its end. A manager in reserve never gets the lease; kube-proxy serves nobody. */
const SIGNS_OF_SUCCESS: Record<Component, readonly Sign[]> = {
  etcd: ['serving'],
  'kube-apiserver': ['serving'],
  'kube-controller-manager': ['serving', 'identity', 'working'],
  'kube-scheduler': ['serving', 'identity', 'working'],
  kubelet: ['serving'],
  'kube-proxy': ['identity', 'working'],
  admin: [],
};

/**
 * Failed when the process wrote of a failure that is its own, of a server that it needs and cannot verify, or, for etcd,
 * of refusing this node or an expected peer: an etcd with a broken CA file is active and refuses everybody. After a start passed
 * only with the component's sign of success; skipped where nothing runs. A certificate that a stranger shows changes nothing, nor does what a later success cures.
 *
 * Silence proves little: an API server with a certificate that nobody trusts passes here (handshake and peers tell).
 */
export function judgeJournal(options: JudgeJournalOptions): CheckOutcome {
  if (options.component === 'admin') {
    return { kind: 'journal', result: 'skipped', summary: 'nothing runs that could write a log', evidence: [] };
  }
  const { live = false } = options;
  const entries = live ? options.entries : ofNewProcess(options);
  const said: Said[] = entries.flatMap((entry) => {
    const finding = classify(options.component, entry);
    return finding === undefined ? [] : [{ entry, finding }];
  });
  const serving = said.filter(({ finding }) => isSignOfSuccess(options, finding));
  const lastSigns = new Map(said.map(({ finding }, index) => [finding.sign, index]));
  const failures = said.filter(
    ({ finding }, index) =>
      counts(options, finding, live || serving.length > 0) &&
      (finding.curedBy === '' || (lastSigns.get(finding.curedBy) ?? -1) < index),
  );
  const first = failures.find(({ finding }) => finding.cause !== 'start-failed') ?? failures[0];
  if (first !== undefined) {
    return {
      kind: 'journal',
      result: 'failed',
      summary: `${options.unit} reports ${first.finding.cause}: ${first.finding.explanation}`,
      evidence: worst(failures).map(({ entry, finding }) => evidenceLine(entry, finding.cause)),
    };
  }
  if (serving.length === 0 && !live) {
    const doubtful = said.filter(({ finding }) => finding.role === 'noise').map(({ entry }) => entry);
    const shown = doubtful.length > 0 ? doubtful : entries;
    return {
      kind: 'journal',
      result: 'failed',
      summary: `${options.unit} has not said that it serves: see what it waits for`,
      evidence: distinct(shown)
        .slice(-MOST_EVIDENCE)
        .map((entry) => evidenceLine(entry, '')),
    };
  }
  const others = said.filter((one) => one.finding.role === 'success' && !serving.includes(one));
  const shown = [...serving.toReversed(), ...others.toReversed()].slice(0, MOST_EVIDENCE);
  return {
    kind: 'journal',
    result: 'passed',
    summary: live
      ? `${options.unit} says nothing against its certificates since it was given new ones`
      : `${options.unit} says that it serves, and nothing against its certificates`,
    evidence: said.filter((one) => shown.includes(one)).map(({ entry }) => evidenceLine(entry, '')),
  };
}

/**
 * The entries that are not the old process'. The old one ends where systemd says that it starts the unit, or where the new
 * invocation first speaks; what comes after that under an identifier seen before is the old one's too. Lines of a process
 * that ended at once come without identifier, and those of a crash loop with several: all of them count.
 */
function ofNewProcess({ entries, invocationId }: JudgeJournalOptions): readonly JournalEntry[] {
  const start = entries.findIndex((entry) =>
    entry.fromSystemd
      ? /^(?:Starting|Started) /.test(entry.message)
      : invocationId !== '' && entry.invocationId === invocationId,
  );
  // an invocation that is known and silent leaves only what cannot be anybody else's
  if (start === -1) return entries.filter((entry) => invocationId === '' || entry.invocationId === '');
  const old = new Set(entries.slice(0, start).map((entry) => entry.invocationId));
  old.delete('');
  old.delete(invocationId);
  return entries.slice(start).filter((entry) => !old.has(entry.invocationId));
}

function isSignOfSuccess({ component, target }: JudgeJournalOptions, finding: Finding): boolean {
  if (finding.sign !== '' && SIGNS_OF_SUCCESS[component].includes(finding.sign)) return true;
  return component === 'etcd' && target === 'prepared' && finding.sign === 'insecure';
}

/** Whether a finding speaks against the component. */
function counts(options: JudgeJournalOptions, finding: Finding, serves: boolean): boolean {
  if (finding.role !== 'failure') return false;
  if (finding.fatal) return true;
  // a kubelet's certificate is the business of that kubelet's node
  if (finding.about === 'kubelet') return false;
  if (finding.transient) return !serves;
  // its plaintext urls, and certificates ignored for them, are wanted before the last step
  const plaintext = finding.cause === 'insecure-listener' || finding.cause === 'conflicting-setting';
  if (options.component === 'etcd' && options.target === 'prepared' && plaintext) return false;
  // a kubelet that keeps its own leaves goes on rotating them itself
  const rotates = options.component === 'kubelet' && finding.cause === 'conflicting-setting';
  if (options.target === 'trusting' && rotates) return false;
  switch (finding.fault) {
    case 'own':
      return finding.side !== 'server' || finding.cause !== 'refused-by-peer' || matters(options, finding.remote);
    case 'peer-server':
      return true;
    case 'peer-client':
      // our own probes come without a certificate to see it refused
      return (
        options.component === 'etcd' && finding.cause !== 'no-client-certificate' && matters(options, finding.remote)
      );
    case 'none':
      return false;
  }
}

/** True when the other side is this node or a peer that must be able to connect. */
function matters({ ownAddresses, peersExpected }: JudgeJournalOptions, remote: string): boolean {
  const host = hostOf(remote);
  return isLoopback(host) || [...ownAddresses, ...peersExpected].some((address) => hostOf(address) === host);
}

/** The lines that say why first, then those that only say that, as many as evidence takes, in the order of the journal. */
function worst(failures: readonly Said[]): Said[] {
  const kept = new Set(distinct(failures.map(({ entry }) => entry)));
  const once = failures.filter(({ entry }) => kept.has(entry));
  const why = once.filter(({ finding }) => finding.cause !== 'start-failed').slice(0, MOST_EVIDENCE);
  const that = once.filter(({ finding }) => finding.cause === 'start-failed').slice(0, MOST_EVIDENCE - why.length);
  return once.filter((one) => why.includes(one) || that.includes(one));
}

/** Entries without those that say the same again at another time, by another process or over another port. */
function distinct(entries: readonly JournalEntry[]): JournalEntry[] {
  const seen = new Set<string>();
  return entries.filter(({ message }) => {
    const gist = message.replace(/\d{4}-\d\d-\d\dT[\d:.]+Z?|\d+/g, '#').replace(/\s+/g, ' ');
    return !seen.has(gist) && seen.add(gist);
  });
}
