/** What is reported of the components of a change while it goes its way. */
import { join } from 'node:path';
import type { AppError, Reason } from '../../common/errors/app-error.ts';
import type { Component } from '../../common/names/names.ts';
import type { Change, ComponentChange } from '../plan/change.ts';
import { issuers } from '../plan/complete-change.ts';
import type { RestartedUnit } from '../restart/restart-unit.ts';
import type { SignedChange } from '../sign/signed-change.ts';
import type { CheckOutcome } from '../verify/checks.ts';
import type { Checks, Verdict } from '../verify/verifier.ts';
import type { Status, StatusBoard } from './status-board.ts';
import { issuerPin, trustAfter } from './trust.ts';

/** Of an etcd member that has its certificates and still speaks plaintext. */
export const PREPARED = 'prepared for TLS; waits until every member is, then enforces it';

/** Of a component that keeps its own leaves while a cluster moves to CAs of ours. */
export const TRUSTING = 'trusts the old and the new roots; waits for the phase reissue';

/** With these a change is tried again by itself; with others somebody has to do something first. */
const PASSING: readonly Reason[] = ['conflict', 'rate-limited', 'unavailable', 'deadline'];

/** Writes to the board for every component of one change. */
export class ChangeReport {
  readonly #board: StatusBoard;
  readonly #change: Change;

  constructor(board: StatusBoard, change: Change) {
    this.#board = board;
    this.#change = change;
  }

  pending(): void {
    this.#each((component) => ({
      state: 'pending',
      reason: component.summary.join('; '),
      pendingFiles: [component.folder, ...component.files.map(({ path }) => path)],
    }));
  }

  waiting(detail: string): void {
    this.#each(() => ({ state: 'waiting-for-permit', reason: detail }));
  }

  applying(): void {
    this.#each(({ takeUp }) => {
      const live = 'switching files; nothing is restarted';
      return { state: 'applying', reason: takeUp === 'live' ? live : 'switching files and restarting' };
    });
  }

  /** @param units - as restarted for this verification; those that were only counted on to take the files up do not count */
  verifying(units: readonly RestartedUnit[]): void {
    this.#countEnded(units);
    this.#each(({ component, takeUp }) => {
      const waits = takeUp === 'live' && units.some((unit) => unit.component === component && unit.live);
      const reason = waits ? 'waiting until the new certificates are served' : 'checking';
      return { state: 'verifying', reason, restarts: this.#restarts(component, units) };
    });
  }

  /** Nothing was touched. */
  notBegun({ reason, message }: AppError): void {
    const state = PASSING.includes(reason) ? 'pending' : 'failed';
    this.#each(() => ({ state, reason: `not begun: ${message}` }));
  }

  /** Neither kept nor undone yet; the next recovery goes on. */
  stuck(detail: string): void {
    this.#each(() => ({ state: 'failed', reason: `could not be brought to an end, which is tried again: ${detail}` }));
  }

  /** @param units - how each process came to its new files */
  kept(signed: SignedChange, checks: Checks, units: readonly RestartedUnit[]): void {
    const bundles = new Map(signed.bundles.map(({ authority, rootsPem }) => [authority, rootsPem]));
    this.#each((change) => ({
      ...keptState(change, checks.get(change.component) ?? []),
      checks: checks.get(change.component) ?? [],
      pendingFiles: [],
      reloads: this.#reloads(change.component, units),
      trust: trustAfter(change.bundles, bundles),
      certificates: signed.certificates
        .filter(({ component }) => component === change.component)
        .map(({ profile, serial, file, notAfterMs, certificatePem }) => ({
          profile,
          serial,
          path: join(change.folder, 'current', `${file}.crt`),
          notAfterMs,
          issuerPin: issuerPin(certificatePem, bundles.get(issuers[profile])),
        })),
    }));
  }

  /** The agent was stopped, so the change was taken back before there was a verdict on it. */
  interrupted(units: readonly RestartedUnit[]): void {
    const trouble = units.find(({ ok }) => !ok)?.detail;
    this.#countEnded(units);
    this.#each(({ component }) => ({
      state: trouble === undefined ? 'detected' : 'failed',
      reason: `taken back, since the agent was stopped${trouble === undefined ? '' : `; after going back: ${trouble}`}`,
      restarts: this.#restarts(component, units),
    }));
  }

  /**
   * The change was taken back.
   *
   * @param old - what was checked afterwards
   * @param units - that were restarted for it
   * @param trouble - what is wrong even so, or undefined when the old state is proved
   */
  undone(verdict: Verdict, old: Checks, units: readonly RestartedUnit[], trouble: string | undefined): void {
    this.#countEnded(units);
    this.#each(({ component }) => ({
      state: trouble === undefined ? 'rolled-back' : 'failed',
      reason: trouble === undefined ? verdict.reason : `${verdict.reason}; after going back: ${trouble}`,
      checks: [...(verdict.checks.get(component) ?? []), ...(old.get(component) ?? []).map(afterwards)],
      restarts: this.#restarts(component, units),
    }));
  }

  /** What restarted since another component did. */
  #countEnded(units: readonly RestartedUnit[]): void {
    for (const component of units.flatMap(({ ended = [] }) => ended)) {
      this.#board.set(component, { restarts: (this.#board.get(component)?.restarts ?? 0) + 1 });
    }
  }

  #restarts(component: Component, units: readonly RestartedUnit[]): number {
    return (this.#board.get(component)?.restarts ?? 0) + (wasRestarted(component, units) ? 1 : 0);
  }

  #reloads(component: Component, units: readonly RestartedUnit[]): number {
    const reloaded = units.some((unit) => unit.component === component && unit.live && unit.process.kind !== 'none');
    return (this.#board.get(component)?.reloads ?? 0) + (reloaded ? 1 : 0);
  }

  #each(fields: (change: ComponentChange) => Parameters<StatusBoard['set']>[1]): void {
    for (const component of this.#change.components) this.#board.set(component.component, fields(component));
  }
}

/** True when the component's process was restarted; where nothing runs nothing is. */
export function wasRestarted(component: Component, units: readonly RestartedUnit[]): boolean {
  return units.some((unit) => unit.component === component && !unit.live && unit.process.kind !== 'none');
}

function keptState({ target }: ComponentChange, outcomes: readonly CheckOutcome[]): Pick<Status, 'state' | 'reason'> {
  // a unit that was stopped and disabled is left so, and nothing was proved of it
  if (outcomes.every(({ result }) => result === 'skipped')) {
    return { state: 'detected', reason: outcomes[0]?.summary ?? 'not verified' };
  }
  if (target === 'enforced') return { state: 'verified', reason: '' };
  return { state: 'pending', reason: target === 'prepared' ? PREPARED : TRUSTING };
}

function afterwards(check: CheckOutcome): CheckOutcome {
  return { ...check, summary: `after going back: ${check.summary}` };
}
