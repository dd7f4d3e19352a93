/** A plan as text for a person: what would change, line by line, and what is held up. */
import type { Problem } from '../detect/detected.ts';
import type { Change, ComponentChange, FileChange, NodePlan, Slot } from './change.ts';
import { diffLines } from './diff-lines.ts';
import { maskSecrets } from './mask-secrets.ts';
import { describePlaceholders } from './placeholders.ts';

/** See restart/end-slow-stop.ts. */
const WATCHES_ARE_CUT = '; its watches are cut once its port is closed and no other call is under way';

/** The plan: changes in their order, each with certificates, what is restarted and a unified diff per file, then problems. No secrets. */
export function renderPlan({ changes, problems }: NodePlan): string {
  const parts = [
    ...changes.map((change, index) => renderChange(change, `change ${index + 1} of ${changes.length}`)),
    ...(problems.length === 0 ? [] : [`left alone\n${problems.map(renderProblem).join('')}`]),
  ];
  if (changes.length === 0) parts.unshift('nothing to change\n');
  return parts.join('\n');
}

function renderChange({ changeId, components }: Change, title: string): string {
  const names = components.map(({ component }) => component).join(' and ');
  return [
    `${title}: ${names} (${changeId})\n`,
    ...components.flatMap(renderComponent),
    ...components.flatMap(renderTakeUp),
    ...components.flatMap(({ files }) => files.map((file) => renderFile(changeId, file))),
  ].join('');
}

/** In the order in which it is done. */
function renderTakeUp({ component, detected: { process }, takeUp, dependants = [] }: ComponentChange): string[] {
  if (process.kind === 'none') return ['  files: nothing to restart\n'];
  const name = process.kind === 'unit' ? process.name : `pod ${process.name}`;
  if (takeUp === 'live') return [`  taken up while it runs: ${name}\n`];
  return [
    `  restart: ${name}${component === 'kube-apiserver' ? WATCHES_ARE_CUT : ''}\n`,
    ...dependants.map((each) => `  restart, should kubelet wait for it: pod ${each.process.pod}\n`),
  ];
}

function renderComponent(change: ComponentChange): string[] {
  const { folder, slots, bundles, memberUpdate, notes = [] } = change;
  const files = bundles.map(({ file, authority }) => `${file} (${authority} CA)`).join(', ');
  return [
    ...slots.map((slot) => `  issue ${folder}/current/${slot.file}.crt: ${renderSlot(slot)}\n`),
    `  trust ${folder}/current: ${files}\n`,
    ...(memberUpdate === undefined
      ? []
      : [
          `  etcd member ${memberUpdate.memberId}: ${memberUpdate.before.join(',')} -> ${memberUpdate.after.join(',')}\n`,
        ]),
    ...notes.map((note) => `  note: ${note}\n`),
  ];
}

function renderSlot({ profile, dnsNames, ipAddresses, leftOut = [], notHeld = [], key, reason }: Slot): string {
  const names = [...dnsNames, ...ipAddresses];
  const without = [
    ...(leftOut.length === 0 ? [] : [`, without ${leftOut.join(', ')} of other members`]),
    ...(notHeld.length === 0 ? [] : [`, without ${notHeld.join(', ')} of the one that is served now`]),
  ].join('');
  const keyed = key === undefined ? '' : `, with an ${key.kind} key (${key.why})`;
  return `${profile}${names.length === 0 ? '' : ` for ${names.join(', ')}`}${without}${keyed}; ${reason}`;
}

function renderFile(changeId: string, { path, before, after }: FileChange): string {
  const owner = before === undefined ? '' : ownerChange(before, after);
  const text = describePlaceholders(maskSecrets(after.text), changeId);
  const diff = diffLines(maskSecrets(before?.text ?? ''), text);
  return `--- ${before === undefined ? '/dev/null' : path}\n+++ ${path}\n${owner}${diff}`;
}

function ownerChange(before: FileChange['after'], after: FileChange['after']): string {
  const [old, now] = [before, after].map(({ mode, uid, gid }) => `${mode.toString(8)} ${uid}:${gid}`);
  return old === now ? '' : `mode and owner ${old} -> ${now}\n`;
}

function renderProblem({ component, message, path, line }: Problem): string {
  const place = path === undefined ? '' : ` (${path}${line === undefined ? '' : `:${line}`})`;
  return `  ${component}${place}: ${message}\n`;
}
