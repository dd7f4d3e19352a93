/** Keeps the node as it should be: looks, plans, makes one change after another, and verifies what needs no change. */
import { AppError } from '../../common/errors/app-error.ts';
import type { Log } from '../../common/log/log.ts';
import type { Component } from '../../common/names/names.ts';
import type { Clock } from '../../common/time/clock.ts';
import { SavedTimes } from '../../common/time/saved-times.ts';
import type { Detected } from '../detect/detected.ts';
import type { Change, NodePlan } from '../plan/change.ts';
import type { PlanInput } from '../plan/plan-input.ts';
import { planNode } from '../plan/plan-node.ts';
import type { NodeSettings } from '../plan/settings.ts';
import type { AgentSettings, FailedChange, KeptFile } from '../report/agent-state.ts';
import type { RotateOutcome } from '../rotate.ts';
import type { FileState } from '../stage/file-state.ts';
import { awaitsEtcdStep, chooseChange } from './choose-change.ts';
import { findDrift, inspectKept, rememberFiles } from './drift.ts';
import { failChange, forgiveChange, noteDrift } from './failed-changes.ts';
import { watchOutdated } from './outdated.ts';
import { type Overwritten, tellOverwritten } from './overwritten.ts';
import type { Recovery } from './recover-node.ts';
import { sleepMs } from './renewal.ts';
import { type ReportFoundDeps, reportFound } from './report-found.ts';

/** Dependencies. */
export interface ReconcilerDeps extends ReportFoundDeps {
  clock: Clock;
  log: Log;
  /** Passes are no further apart. */
  intervalMs: number;
  /** As the server said last; undefined before it said anything. */
  settings(): AgentSettings | undefined;
  /** Changes that are not made for now, kept over restarts. */
  failed: FailedChange[];
  /** Files as kept changes left them, kept over restarts. */
  kept: KeptFile[];
  /** What a plan is made from; see lookAtNode. */
  look(settings: NodeSettings, signal: AbortSignal): Promise<PlanInput>;
  /** Keeps copies of what somebody else wrote and the change writes over; see keepOverwritten. */
  keepOverwritten(kept: readonly KeptFile[], change: Change): Promise<Overwritten[]>;
  /** Makes one change; see rotate.ts. */
  rotate(change: Change, outdated: () => string | undefined, signal: AbortSignal): Promise<RotateOutcome>;
  /** Verifies what needs no change; see verifyInstalled. */
  verify(input: PlanInput, detected: Detected, signal: AbortSignal): Promise<void>;
  /** Brings a change that was left half-way to its end; see recoverNode. */
  recover(signal: AbortSignal): Promise<Recovery>;
  /** What the node's components refer to, after every look. */
  onLook(input: PlanInput): void;
  /** All that the look found stands on the board, by the settings of that trust generation. */
  onSurveyed(trustGeneration: number): void;
  /** Writes statuses, settings and failed changes to disk. */
  remember(): Promise<void>;
}

/** So long after a pass, what is doubted or degraded is proved anew: a caller can make a log say something all the time; milliseconds. */
const PROVE_AGAIN_MS = 60_000;

/** What one pass did. */
export interface PassResult {
  outcomes: { changeId: string; components: Component[]; outcome: RotateOutcome }[];
  /** Why nothing, or not everything, could be done; '' when it could. */
  problem: string;
}

/** The loop. */
export class Reconciler {
  readonly #deps: ReconcilerDeps;
  /** False from the start, and after a change whose undo failed: nothing new begins before the node is recovered. */
  #whole = false;
  #wake: () => void = () => {};
  #woken = false;
  /** True when a change of the last pass could not begin. */
  #unbegun = false;
  #running: Promise<PassResult> | undefined;
  #verified = new Set<Component>();
  /** Verified ones of which a log complained since. */
  readonly #doubted = new Set<Component>();
  /** When changes failed that are not made for now, by their fingerprints. */
  readonly #failedAt: SavedTimes;
  /** What the last look found. */
  #looked: PlanInput | undefined;

  constructor(deps: ReconcilerDeps) {
    this.#deps = deps;
    this.#failedAt = new SavedTimes(deps.clock);
    for (const change of deps.failed) this.#ageMs(change); // from now on
  }

  /** Asks for a pass soon. */
  wake(): void {
    this.#woken = true;
    this.#wake();
  }

  /** The log of a component complains: if it counts as proved it is proved anew, within a minute. */
  doubt(component: Component): void {
    if (this.#deps.board.get(component)?.state !== 'verified' || this.#doubted.has(component)) return;
    this.#doubted.add(component);
    this.#wake(); // the rest may be over sooner
  }

  /** The server can be reached again: what could not begin may begin now. */
  reconnected(): void {
    if (this.#unbegun) this.wake();
  }

  /** Puts a change on the list of those that failed, on disk too. */
  async noteFailed(change: Pick<Change, 'fingerprint'>, reason: string): Promise<void> {
    failChange(this.#deps.failed, this.#failure(change, reason, this.#deps.settings()));
    await this.#deps.remember();
  }

  /** Passes at the interval, whenever a certificate is due and whenever woken, until the signal fires. */
  async run(signal: AbortSignal): Promise<void> {
    const { log } = this.#deps;
    while (!signal.aborted) {
      this.#woken = false;
      const { problem } = await this.pass(signal, false);
      if (problem !== '') log.warn('nothing could be planned', { detail: problem });
      await this.#rest(signal);
    }
  }

  /** Until something is due, or a pass is asked for. */
  async #rest(signal: AbortSignal): Promise<void> {
    const { board, clock, intervalMs } = this.#deps;
    const passedMs = clock.monotonicMs();
    const restMs = this.#looked === undefined ? intervalMs : sleepMs(this.#looked, clock.nowMs(), intervalMs);
    while (!this.#woken) {
      const isDoubtful = this.#doubted.size > 0 || board.all().some(({ state }) => state === 'degraded');
      const leftMs = passedMs + (isDoubtful ? Math.min(restMs, PROVE_AGAIN_MS) : restMs) - clock.monotonicMs();
      if (leftMs <= 0) return;
      await this.#sleep(clock.sleep.bind(clock), leftMs, signal);
    }
  }

  /**
   * One pass; while one is under way, that one. `again` tries changes that failed before, on an operator's word: it waits for the
   * pass under way, which may have passed them over.
   */
  async pass(signal: AbortSignal, again: boolean): Promise<PassResult> {
    while (this.#running !== undefined) {
      if (!again) return this.#running;
      await this.#running.catch(() => undefined); // whoever began it hears of it
    }
    this.#running = this.#pass(signal, again).finally(() => {
      this.#running = undefined;
    });
    return this.#running;
  }

  async #pass(signal: AbortSignal, again: boolean): Promise<PassResult> {
    const result: PassResult = { outcomes: [], problem: '' };
    const tried = new Set<string>();
    this.#unbegun = false;
    /** Their reason stays visible until the next pass tries them again. */
    const notBegun: FailedChange[] = [];
    try {
      // after every change the node is looked at anew: what comes next may follow from it
      for (;;) {
        if (!this.#whole) await this.#recover(signal);
        const settings = this.#deps.settings();
        if (settings === undefined) return { ...result, problem: 'the server has not said yet what this node is' };
        const before = await inspectKept(this.#deps.kept);
        const input = await this.#deps.look(settings.node, signal);
        const plan = planNode(input);
        this.#looked = input;
        this.#deps.onLook(input);
        if (!this.#whole) return { ...result, problem: 'a change is neither kept nor undone: see status and the log' };
        await this.#noteDrift(plan, before, settings);
        const { failed, mode } = this.#deps;
        reportFound({ ...this.#deps, failed: [...failed, ...notBegun] }, input, plan);
        this.#deps.onSurveyed(settings.trustGeneration);
        this.#failedAt.keepOnly(new Set(failed.map(({ fingerprint }) => fingerprint)));
        const ageMs = (change: FailedChange) => this.#ageMs(change);
        const choice = chooseChange({ input, plan, settings, mode, failed, tried, again, ageMs });
        const { change, held } = choice;
        if (change === undefined) {
          await this.#verifyUnchanged(input, plan, signal);
          return again || awaitsEtcdStep(input) ? { ...result, problem: held } : result;
        }
        tried.add(change.fingerprint);
        const outcome = await this.#make(change, input, settings, signal);
        if (outcome.outcome === 'not-begun') failChange(notBegun, this.#failure(change, outcome.reason, settings));
        this.#unbegun ||= outcome.outcome === 'not-begun';
        result.outcomes.push({
          changeId: change.changeId,
          components: change.components.map((each) => each.component),
          outcome,
        });
      }
    } catch (error) {
      signal.throwIfAborted();
      return { ...result, problem: AppError.from(error).message };
    }
  }

  async #make(change: Change, input: PlanInput, settings: AgentSettings, signal: AbortSignal): Promise<RotateOutcome> {
    const { clock, mode, failed, kept } = this.#deps;
    const copies = await this.#deps.keepOverwritten(kept, change);
    this.#whole = false;
    const watch = watchOutdated(change, input);
    const times = () => ({ nowMs: clock.nowMs(), monotonicMs: clock.monotonicMs() });
    const outdated = () => watch({ settings: this.#deps.settings(), mode, ...times() });
    const outcome = await this.#deps.rotate(change, outdated, signal);
    this.#whole = outcome.outcome !== 'not-begun'; // what was staged may have withstood its removal
    for (const { component } of change.components) {
      if (outcome.outcome === 'kept') this.#verified.add(component);
      else this.#verified.delete(component);
    }
    if (outcome.outcome === 'undone') failChange(failed, this.#failure(change, outcome.reason, settings));
    if (outcome.outcome === 'kept') {
      forgiveChange(failed, change.fingerprint);
      await rememberFiles(kept, change);
      tellOverwritten(copies, change, this.#deps);
    }
    await this.#deps.remember();
    return outcome;
  }

  async #recover(signal: AbortSignal): Promise<void> {
    const { whole, judged } = await this.#deps.recover(signal);
    for (const each of judged) await this.noteFailed(each, each.reason);
    this.#whole = whole;
  }

  async #noteDrift(
    plan: NodePlan,
    before: ReadonlyMap<string, FileState>,
    { retryGeneration }: AgentSettings,
  ): Promise<void> {
    const { failed, kept, clock, log } = this.#deps;
    const drift = await findDrift(kept, plan, before);
    for (const reason of noteDrift(failed, drift, { retryGeneration, atMs: clock.nowMs() })) {
      log.warn('files of ours were changed by somebody else', { detail: reason });
    }
  }

  #failure({ fingerprint }: Pick<Change, 'fingerprint'>, reason: string, settings?: AgentSettings): FailedChange {
    const { retryGeneration = 0 } = settings ?? {};
    const failure = { fingerprint, reason, retryGeneration, atMs: this.#deps.clock.nowMs(), kind: 'failed' } as const;
    this.#ageMs(failure); // from now on
    return failure;
  }

  #ageMs({ fingerprint, atMs }: FailedChange): number {
    return this.#failedAt.ageMs(fingerprint, atMs);
  }

  /** What is as it should be is proved once after every start of the agent, and again while it is degraded or was doubted. */
  async #verifyUnchanged(input: PlanInput, plan: NodePlan, signal: AbortSignal): Promise<void> {
    const changing = new Set(plan.changes.flatMap(({ components }) => components.map(({ component }) => component)));
    const blocked = new Set(plan.problems.map(({ component }) => component));
    for (const detected of input.detected.components) {
      const { component } = detected;
      const isProved = this.#isProved(component);
      this.#doubted.delete(component); // what is said from now on counts anew
      if (changing.has(component) || blocked.has(component) || isProved) continue;
      await this.#deps.verify(input, detected, signal);
      this.#verified.add(component);
    }
    await this.#deps.remember();
  }

  #isProved(component: Component): boolean {
    const state = this.#deps.board.get(component)?.state;
    // one that has not come back yet, say after a boot, is looked at again
    return (
      this.#verified.has(component) && !this.#doubted.has(component) && state !== 'detected' && state !== 'degraded'
    );
  }

  /**
   * Verifies every managed component anew, for the command `verify`.
   *
   * @throws AppError 'unavailable' when the pass did not come that far: the board then tells of an earlier proof
   */
  async verifyAll(signal: AbortSignal): Promise<void> {
    await this.#running;
    this.#verified.clear();
    const { problem } = await this.pass(signal, false);
    if (problem !== '') throw new AppError('unavailable', `not everything was proved anew: ${problem}`);
  }

  async #sleep(
    sleep: (ms: number, signal: AbortSignal) => Promise<void>,
    ms: number,
    outer: AbortSignal,
  ): Promise<void> {
    const woken = new AbortController();
    this.#wake = () => woken.abort();
    try {
      await sleep(ms, AbortSignal.any([outer, woken.signal]));
    } catch (error) {
      outer.throwIfAborted();
      if (!woken.signal.aborted) throw error;
    } finally {
      this.#wake = () => {};
    }
  }
}
