/** Verification of whole changes: the component's own four checks, then the peers' word, and the proof after an undo. */
import { AppError } from '../../common/errors/app-error.ts';
import type { Component } from '../../common/names/names.ts';
import { monotonicOf } from '../../common/time/clock.ts';
import type { HeldPermit } from '../apply/apply-change.ts';
import type { Detected } from '../detect/detected.ts';
import type { Change } from '../plan/change.ts';
import type { RestartedChange } from '../restart/restart-units.ts';
import type { SignedChange } from '../sign/signed-change.ts';
import { askPeers, type PeersDeps } from './ask-peers.ts';
import type { CheckOutcome, EvidenceLine } from './checks.ts';
import { expectAfterChange } from './expect.ts';
import { type ServedBefore, servedBefore } from './served-before.ts';
import { type VerifyDeps, verifyComponent } from './verify-change.ts';
import { verifyOld } from './verify-old.ts';

/** Checks by component. */
export type Checks = ReadonlyMap<Component, CheckOutcome[]>;

/** The judgement on a change. */
export interface Verdict {
  ok: boolean;
  /** Why not, with the line that tells; '' when ok. */
  reason: string;
  checks: Checks;
}

/** What was there before a change. */
export interface Before {
  components: { detected: Detected; served: ServedBefore }[];
}

/** What is verified. */
export interface Subject {
  signed: SignedChange;
  restarted: RestartedChange;
  permit: HeldPermit;
}

/** Dependencies. */
export interface VerifierDeps extends VerifyDeps, PeersDeps {
  /** Addresses "host:port" of a component, as peers write them. */
  endpointsOf(detected: Detected): string[];
  /** Those of them at which another server may answer too. */
  sharedEndpointsOf(detected: Detected): string[];
}

/** Slot of the certificate that peers see when they connect; undefined for what nobody connects to. */
const SERVING_FILE: Record<Component, string | undefined> = {
  etcd: 'server',
  'kube-apiserver': 'serving',
  'kube-controller-manager': 'serving',
  'kube-scheduler': 'serving',
  kubelet: 'serving',
  'kube-proxy': undefined,
  admin: undefined,
};

/** The verifier. */
export class Verifier {
  readonly #deps: VerifierDeps;

  constructor(deps: VerifierDeps) {
    this.#deps = deps;
  }

  /** Looks at the components before they are touched. */
  async remember(change: Change, signal: AbortSignal): Promise<Before> {
    const components: Before['components'] = [];
    for (const { detected } of change.components) {
      components.push({ detected, served: await servedBefore(this.#deps, detected, signal) });
    }
    return { components };
  }

  /** Verifies every component of a change; the peers are asked only when the component's own checks passed. */
  async verify({ signed, restarted, permit }: Subject, signal: AbortSignal): Promise<Verdict> {
    const checks = new Map<Component, CheckOutcome[]>();
    const { clock } = this.#deps;
    const sinceMs = new Map(restarted.units.map((unit) => [unit.component, monotonicOf(clock, unit.startedAtMs)]));
    for (const change of restarted.change.components) {
      const unit = restarted.units.find(({ component }) => component === change.component);
      if (unit === undefined) {
        checks.set(change.component, [notRestarted(change.component, restarted)]);
        continue;
      }
      const expectation = expectAfterChange(signed, change, unit.live);
      checks.set(change.component, await verifyComponent(this.#deps, expectation, unit, signal));
    }
    const own = failureOf(checks);
    if (own !== undefined || !restarted.ok) return { ok: false, reason: own ?? restartFailure(restarted), checks };
    await this.#addPeers({ signed, restarted, permit }, sinceMs, checks, signal);
    const reason = failureOf(checks);
    return { ok: reason === undefined, reason: reason ?? '', checks };
  }

  /** Verifies that the state before a change is back. */
  async verifyBefore(before: Before, signal: AbortSignal): Promise<Checks> {
    const checks = new Map<Component, CheckOutcome[]>();
    for (const { detected, served } of before.components) {
      if (served === 'nothing') continue; // it did not answer before either
      checks.set(detected.component, await verifyOld(this.#deps, { detected, served }, signal));
    }
    return checks;
  }

  /** Side by side: the peers watch for a while, and they can watch several components at once. */
  async #addPeers(
    { signed, restarted, permit }: Subject,
    started: ReadonlyMap<Component, number>,
    checks: Map<Component, CheckOutcome[]>,
    signal: AbortSignal,
  ) {
    await Promise.all(
      restarted.change.components.map(async (change) => {
        const { component, detected, target } = change;
        const sinceMs = started.get(component);
        const file = SERVING_FILE[component];
        if (sinceMs === undefined || file === undefined || target === 'prepared') return;
        const serial = signed.certificates.find((each) => each.component === component && each.file === file)?.serial;
        // one that is only made to trust may keep a certificate that is not ours
        if (serial === undefined && target !== 'trusting')
          throw new AppError('internal', `no serving certificate was signed for ${component}`);
        const check = await askPeers(
          this.#deps,
          {
            component,
            endpoints: this.#deps.endpointsOf(detected),
            sharedEndpoints: this.#deps.sharedEndpointsOf(detected),
            serial: serial ?? '',
            sinceMs,
            permitId: permit.permitId,
          },
          signal,
        );
        checks.set(component, [...(checks.get(component) ?? []), check]);
      }),
    );
  }
}

/** The first failed check in words, with its first line of evidence; undefined when none failed. */
export function failureOf(checks: Checks): string | undefined {
  for (const [component, outcomes] of checks) {
    // a journal line tells most, then what the peers say
    const failed = outcomes.filter(({ result }) => result === 'failed');
    const first = failed.find(({ kind }) => kind === 'journal' || kind === 'peers') ?? failed[0];
    if (first === undefined) continue;
    // a classified line tells why, also one that decides nothing; systemd's "Main process exited" only tells that
    const logged = outcomes.find(({ kind }) => kind === 'journal')?.evidence ?? [];
    const tells = ({ cause }: EvidenceLine) => cause !== '' && cause !== 'start-failed';
    const line = first.evidence.find(tells) ?? logged.findLast(tells) ?? first.evidence[0];
    const quoted = line === undefined ? '' : ` | ${line.source}: ${line.line}`;
    return `${component}: ${first.kind} check failed: ${first.summary}${quoted}`;
  }
  return undefined;
}

function notRestarted(component: Component, restarted: RestartedChange): CheckOutcome {
  const summary = restarted.ok
    ? 'it was stopped and disabled, so it was left so'
    : 'not restarted, since another component of the same change failed';
  return {
    kind: 'unit',
    result: restarted.ok ? 'skipped' : 'failed',
    summary: `${component}: ${summary}`,
    evidence: [],
  };
}

function restartFailure(restarted: RestartedChange): string {
  const failed = restarted.units.find(({ ok }) => !ok);
  return failed === undefined ? 'a unit was not restarted' : `${failed.unit} did not restart: ${failed.detail}`;
}
