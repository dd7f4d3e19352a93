/** Judging made-up logs, for tests. */
import type { Component } from '../../common/names/names.ts';
import type { JournalEntry } from './journal-entry.ts';
import { type JudgeJournalOptions, judgeJournal } from './judge-journal.ts';

/** What stands before a klog message. */
export const HEAD = 'E1124 10:14:03.054501     163 file.go:53] ';
/** The sign of success of each component. */
export const SERVING: Record<Component, string> = {
  etcd: 'serving client requests on 10.77.0.10:2379',
  'kube-apiserver': `${HEAD}Serving securely on [::]:6443`,
  'kube-controller-manager': `${HEAD}Serving securely on 127.0.0.1:10257`,
  'kube-scheduler': `${HEAD}Serving securely on 127.0.0.1:10259`,
  kubelet: `${HEAD}"Started kubelet"`,
  'kube-proxy': `${HEAD}"Caches are synced" controller="service config"`,
  admin: '',
};

/** A line of a process under an invocation; "systemd" before the colon makes it one of systemd's. */
export function entry(invocationId: string, message: string, index = 0): JournalEntry {
  const fromSystemd = message.startsWith('systemd:');
  return {
    cursor: `c${index}`,
    realtimeMs: 1_000_000 + index,
    unit: 'x.service',
    identifier: fromSystemd ? 'systemd' : 'x',
    pid: fromSystemd ? 1 : 100,
    invocationId,
    message: message.replace(/^systemd:/, ''),
    fromSystemd,
  };
}

/** The verdict on lines, each with its invocation, of which 'new' is that of the process that is judged. */
export function judge(component: Component, lines: [string, string][], more: Partial<JudgeJournalOptions> = {}) {
  return judgeJournal({
    component,
    unit: 'x.service',
    entries: lines.map(([id, message], index) => entry(id, message, index)),
    invocationId: 'new',
    target: 'enforced',
    ...more,
  });
}
