/** What is reported of the components of a change while it goes its way. */
import { join } from 'node:path';
import type { Change, ComponentChange } from '../plan/change.ts';
import type { RestartedUnit } from '../restart/restart-unit.ts';
import type { SignedChange } from '../sign/signed-change.ts';
import type { CheckOutcome } from '../verify/checks.ts';
import type { Checks, Verdict } from '../verify/verifier.ts';
import type { StatusBoard } from './status-board.ts';

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
    this.#each(() => ({ state: 'applying', reason: 'switching files and restarting' }));
  }

  verifying(units: readonly RestartedUnit[]): void {
    this.#each(({ component }) => {
      const restarts = this.#board.get(component)?.restarts ?? 0;
      const restarted = units.some((unit) => unit.component === component);
      return { state: 'verifying', reason: 'checking', restarts: restarts + (restarted ? 1 : 0) };
    });
  }

  /** Nothing was touched. */
  notBegun(reason: string): void {
    this.#each(() => ({ state: 'failed', reason: `not begun: ${reason}` }));
  }

  kept(signed: SignedChange, checks: Checks): void {
    this.#each((change) => ({
      state: change.target === 'enforced' ? 'verified' : 'pending',
      reason: change.target === 'enforced' ? '' : 'prepared for TLS; waits until every member is, then enforces it',
      checks: checks.get(change.component) ?? [],
      pendingFiles: [],
      certificates: signed.certificates
        .filter(({ component }) => component === change.component)
        .map(({ profile, serial, file, notAfterMs }) => ({
          profile,
          serial,
          path: join(change.folder, 'current', `${file}.crt`),
          notAfterMs,
        })),
    }));
  }

  /**
   * The change was taken back.
   *
   * @param old - what was checked afterwards
   * @param trouble - what is wrong even so, or undefined when the old state is proved
   */
  undone(verdict: Verdict, old: Checks, trouble: string | undefined): void {
    this.#each(({ component }) => ({
      state: trouble === undefined ? 'rolled-back' : 'failed',
      reason: trouble === undefined ? verdict.reason : `${verdict.reason}; after going back: ${trouble}`,
      checks: [...(verdict.checks.get(component) ?? []), ...(old.get(component) ?? []).map(afterwards)],
      restarts: (this.#board.get(component)?.restarts ?? 0) + 1,
    }));
  }

  #each(fields: (change: ComponentChange) => Parameters<StatusBoard['set']>[1]): void {
    for (const component of this.#change.components) this.#board.set(component.component, fields(component));
  }
}

function afterwards(check: CheckOutcome): CheckOutcome {
  return { ...check, summary: `after going back: ${check.summary}` };
}
