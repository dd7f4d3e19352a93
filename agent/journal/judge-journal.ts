/** What a component's new process says of itself in its log: that it serves, or why it cannot. */
import type { Component } from '../../common/names/names.ts';
import type { Target } from '../plan/change.ts';
import type { CheckOutcome } from '../verify/checks.ts';
import { classify } from './classify.ts';
import { evidenceLine } from './evidence-line.ts';
import type { Finding, Sign } from './finding.ts';
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
}

/** An entry with what it says. */
interface Said {
  entry: JournalEntry;
  finding: Finding;
}

const MOST_EVIDENCE = 8;
/** Of them what callers made it write: it explains what another check found. */
const MOST_HINTS = 3;

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
 * Failed when the process wrote of a failure that is its own, or of a server that it needs and cannot verify. What a later success cures
 * does not count, nor does what a caller makes it write, whoever calls: that is shown as a hint, since it tells why another check failed.
 * After a start passed with the component's sign of success, and inconclusive without it: its log may be written elsewhere, or in a way that
 * is not known here. Handshake and cluster prove what it does.
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
  const hints = newestHints(said.filter(({ finding }) => isHint(options.component, finding)));
  const evidenceOf = (shown: readonly JournalEntry[]) => [
    ...shown.map((entry) => evidenceLine(entry, '')),
    ...hints.map(({ entry, finding }) => evidenceLine(entry, finding.cause)),
  ];
  if (serving.length === 0 && !live) {
    const noise = said.filter(({ finding }) => finding.role === 'noise').map(({ entry }) => entry);
    return {
      kind: 'journal',
      result: 'inconclusive',
      summary: `not confirmed by its log: ${countOf(entries, said)}`,
      evidence: evidenceOf(distinct(noise.length > 0 ? noise : entries).slice(hints.length - MOST_EVIDENCE)),
    };
  }
  const others = said.filter((one) => one.finding.role === 'success' && !serving.includes(one));
  const shown = [...serving.toReversed(), ...others.toReversed()].slice(0, MOST_EVIDENCE - hints.length);
  return {
    kind: 'journal',
    result: 'passed',
    summary: live
      ? `${options.unit} says nothing against its certificates since it was given new ones${toldBy(hints)}`
      : `${options.unit} says that it serves, and nothing against its certificates${toldBy(hints)}`,
    evidence: evidenceOf(said.filter((one) => shown.includes(one)).map(({ entry }) => entry)),
  };
}

function toldBy(hints: readonly Said[]): string {
  return hints.length === 0 ? '' : '; what it says of its callers decides nothing';
}

/** "214 lines, none known"; "nothing was written". */
function countOf(entries: readonly JournalEntry[], said: readonly Said[]): string {
  if (entries.length === 0) return 'nothing was written to it';
  const lines = entries.length === 1 ? '1 line' : `${entries.length} lines`;
  return said.length === 0 ? `${lines}, none known` : `${lines}, none of which says that it serves`;
}

/**
 * True for a failure that callers cause and that may tell why a proof failed. Our own probes are among the callers: one comes without a
 * certificate to see it refused, and an API server is shown one of another CA.
 */
function isHint(component: Component, { role, side, cause, fault }: Finding): boolean {
  if (role !== 'failure' || side !== 'server' || cause === 'no-client-certificate') return false;
  return fault === 'own' || component === 'etcd';
}

/** The newest of each kind. */
function newestHints(hints: readonly Said[]): Said[] {
  const newest = new Map<string, Said>();
  for (const one of hints) newest.set(`${one.finding.cause} ${one.finding.fault}`, one);
  return [...newest.values()].slice(-MOST_HINTS);
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
  // whoever reaches its port can cause this
  if (finding.side === 'server') return false;
  // a kubelet's certificate is the business of that kubelet's node
  if (finding.about === 'kubelet') return false;
  if (finding.transient) return !serves;
  // its plaintext urls, and certificates ignored for them, are wanted before the last step
  const plaintext = finding.cause === 'insecure-listener' || finding.cause === 'conflicting-setting';
  if (options.component === 'etcd' && options.target === 'prepared' && plaintext) return false;
  // a kubelet that keeps its own leaves goes on rotating them itself
  const rotates = options.component === 'kubelet' && finding.cause === 'conflicting-setting';
  if (options.target === 'trusting' && rotates) return false;
  return finding.fault === 'own' || finding.fault === 'peer-server';
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
