/** Renewals: which changes do nothing else, when the next is due, and when one that failed is tried again. */
import type { Component } from '../../common/names/names.ts';
import type { Change, ComponentChange } from '../plan/change.ts';
import { renewalMs } from '../plan/due.ts';
import { hasPlaceholders } from '../plan/placeholders.ts';
import type { PlanInput } from '../plan/plan-input.ts';
import { tryParse } from '../plan/try-parse.ts';
import { profileOf } from '../report/installed-certificates.ts';
import { installedTrust, trustAfter } from '../report/trust.ts';

/** Parts of what a plan was made from. */
type Looked = Pick<PlanInput, 'current' | 'bundles' | 'detected' | 'settings'>;

/** A certificate that is tried again and again gets no less time than this between two attempts. */
const SHORTEST_RETRY_MS = 30_000;
/** Once it has ended there is nothing left to save by hurrying. */
const ENDED_RETRY_MS = 5 * 60_000;
/** However soon something is due. */
const SHORTEST_SLEEP_MS = 1_000;

/** True when a change does nothing but replace certificates that end: settings, names and roots stay as they are. */
export function isRenewal(change: Change, looked: Pick<Looked, 'current' | 'bundles'>): boolean {
  return change.components.every((component) => isComponentRenewal(component, looked));
}

/** True when a slot of the change is due because its certificate ends. */
export function renewsSomething(change: Change): boolean {
  return change.components.some(({ slots }) => slots.some(({ reason }) => reason.startsWith('expire')));
}

/** Those that go on while the rollout is paused, and before everything else: nothing is restarted, and nothing may end. */
export function isLiveRenewal(change: Change, looked: Pick<Looked, 'current' | 'bundles'>): boolean {
  return change.components.every(({ takeUp }) => takeUp === 'live') && isRenewal(change, looked);
}

/**
 * How long to wait before what has failed is tried again: a tenth of what is left of the certificates' life.
 *
 * @param endMs - end of the life, milliseconds since the epoch
 */
export function retryDelayMs(endMs: number, nowMs: number): number {
  return endMs <= nowMs ? ENDED_RETRY_MS : Math.max(SHORTEST_RETRY_MS, Math.ceil((endMs - nowMs) / 10));
}

/** When the first certificate of those components ends, milliseconds since the epoch; undefined when they have none. */
export function earliestEndMs(
  { current }: Pick<Looked, 'current'>,
  components: readonly Component[],
): number | undefined {
  const ends = current
    .filter(({ component }) => components.includes(component))
    .flatMap(({ certificates }) => certificates.flatMap(({ pem }) => tryParse(pem)?.notAfter.getTime() ?? []));
  return ends.length === 0 ? undefined : Math.min(...ends);
}

/**
 * How long nothing has to be looked at, in milliseconds: until the next renewal, and for one that is due already, and for some
 * reason was not made, a tenth of the life that is left. No longer than the interval.
 */
export function sleepMs(looked: Looked, nowMs: number, intervalMs: number): number {
  const waits = looked.current
    .filter(({ component }) => looked.detected.components.some((each) => each.component === component))
    .flatMap(({ component, certificates }) =>
      certificates.flatMap(({ file, pem }) => {
        const profile = profileOf(component, file);
        const certificate = tryParse(pem);
        if (profile === undefined || certificate === undefined) return [];
        const dueMs = Math.ceil(renewalMs(certificate, { nodeName: looked.settings.nodeName, profile, file }));
        return dueMs > nowMs ? dueMs - nowMs : retryDelayMs(certificate.notAfter.getTime(), nowMs);
      }),
    );
  return Math.max(SHORTEST_SLEEP_MS, Math.min(intervalMs, ...waits));
}

function isComponentRenewal(
  change: ComponentChange,
  { current, bundles }: Pick<Looked, 'current' | 'bundles'>,
): boolean {
  const { component, slots, files, memberUpdate } = change;
  const reasons = slots.map(({ reason }) => reason).filter((reason) => !reason.startsWith('renewed with the others'));
  const installed = current.find((folder) => folder.component === component);
  if (installed === undefined || memberUpdate !== undefined) return false;
  return (
    reasons.length > 0 &&
    reasons.every((reason) => reason.startsWith('expire')) &&
    // a mark that restarts a pod, or a kubeconfig that embeds the new certificate
    files.every(({ after }) => hasPlaceholders(after.text)) &&
    sameTrust(installedTrust(installed), trustAfter(change.bundles, bundles))
  );
}

function sameTrust(left: ReturnType<typeof trustAfter>, right: ReturnType<typeof trustAfter>): boolean {
  const text = (trust: typeof left) =>
    JSON.stringify(trust.map(({ authority, rootPins }) => [authority, rootPins]).sort());
  return text(left) === text(right);
}
