/** Keeps the node as it should be: looks, plans, makes one change after another, and verifies what needs no change. */
import { AppError } from '../../common/errors/app-error.ts';
import type { Component, Mode } from '../../common/names/names.ts';
import type { Change, NodePlan } from '../plan/change.ts';
import type { PlanInput } from '../plan/plan-input.ts';
import { planNode } from '../plan/plan-node.ts';
import type { AgentSettings, FailedChange } from '../report/agent-state.ts';
import { type RotateDeps, type RotateOutcome, rotate } from '../rotate.ts';
import { type LookDeps, lookAtNode } from './look.ts';
import { reportFound } from './report-found.ts';
import { type VerifyInstalledDeps, verifyInstalled } from './verify-installed.ts';

/** Dependencies. */
export interface ReconcilerDeps extends LookDeps, RotateDeps, VerifyInstalledDeps {
  mode: Mode;
  intervalMs: number;
  settings(): AgentSettings | undefined;
  /** Changes that were undone, kept over restarts. */
  failed: FailedChange[];
  /** Brings a change that was left half-way to its end; see recoverNode. */
  recover(signal: AbortSignal): Promise<void>;
  /** Something in the memory changed. */
  remember(): Promise<void>;
  /** What the node's components refer to, after every look. */
  onLook(input: PlanInput): void;
}

/** What one pass did. */
export interface PassResult {
  plan: NodePlan | undefined;
  outcomes: { changeId: string; components: Component[]; outcome: RotateOutcome }[];
  problem: string;
}

/** The loop. */
export class Reconciler {
  readonly #deps: ReconcilerDeps;
  /** False from the start, and after a change whose undo failed: nothing new begins before the node is recovered. */
  #whole = false;
  #wake: () => void = () => {};
  #woken = false;
  #running: Promise<PassResult> | undefined;
  #verified = new Set<Component>();

  constructor(deps: ReconcilerDeps) {
    this.#deps = deps;
  }

  /** Asks for a pass soon. */
  wake(): void {
    this.#woken = true;
    this.#wake();
  }

  /** Passes at the interval and whenever woken, until the signal fires. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, log, intervalMs } = this.#deps;
    while (!signal.aborted) {
      this.#woken = false;
      const { problem } = await this.pass(signal, false);
      if (problem !== '') log.warn('nothing could be planned', { detail: problem });
      if (!this.#woken) await this.#sleep(clock.sleep.bind(clock), intervalMs, signal);
    }
  }

  /**
   * One pass; while one is under way, that one. `again` tries changes that failed before, on an operator's word.
   */
  pass(signal: AbortSignal, again: boolean): Promise<PassResult> {
    this.#running ??= this.#pass(signal, again).finally(() => {
      this.#running = undefined;
    });
    return this.#running;
  }

  async #pass(signal: AbortSignal, again: boolean): Promise<PassResult> {
    const result: PassResult = { plan: undefined, outcomes: [], problem: '' };
    const tried = new Set<string>();
    try {
      if (!this.#whole) await this.#deps.recover(signal);
      this.#whole = true;
      // after every change the node is looked at anew: what comes next may follow from it
      for (;;) {
        const settings = this.#deps.settings();
        if (settings === undefined) return { ...result, problem: 'the server has not said yet what this node is' };
        const input = await lookAtNode(this.#deps, settings.node, signal);
        const plan = planNode(input);
        result.plan ??= plan;
        this.#deps.onLook(input);
        reportFound(this.#deps, input, plan);
        if (this.#deps.mode === 'observe') return result;
        const change = plan.changes.find(
          ({ fingerprint }) => !tried.has(fingerprint) && this.#mayTry(fingerprint, settings, again),
        );
        if (change === undefined) {
          await this.#verifyUnchanged(input, plan, signal);
          return result;
        }
        tried.add(change.fingerprint);
        const outcome = await this.#make(change, settings, signal);
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

  async #make(change: Change, settings: AgentSettings, signal: AbortSignal): Promise<RotateOutcome> {
    const { failed } = this.#deps;
    this.#whole = false;
    const outcome = await rotate(this.#deps, change, signal);
    this.#whole = true;
    for (const { component } of change.components) {
      if (outcome.outcome === 'kept') this.#verified.add(component);
      else this.#verified.delete(component);
    }
    const index = failed.findIndex(({ fingerprint }) => fingerprint === change.fingerprint);
    if (index >= 0) failed.splice(index, 1);
    if (outcome.outcome === 'undone') {
      const { retryGeneration } = settings;
      failed.push({ fingerprint: change.fingerprint, reason: outcome.reason, retryGeneration });
    }
    await this.#deps.remember();
    return outcome;
  }

  #mayTry(fingerprint: string, settings: AgentSettings, again: boolean): boolean {
    const before = this.#deps.failed.find((change) => change.fingerprint === fingerprint);
    return before === undefined || again || settings.retryGeneration > before.retryGeneration;
  }

  /** What is as it should be is proved once after every start of the agent. */
  async #verifyUnchanged(input: PlanInput, plan: NodePlan, signal: AbortSignal): Promise<void> {
    const changing = new Set(plan.changes.flatMap(({ components }) => components.map(({ component }) => component)));
    const blocked = new Set(plan.problems.map(({ component }) => component));
    for (const detected of input.detected.components) {
      const { component } = detected;
      if (changing.has(component) || blocked.has(component) || this.#verified.has(component)) continue;
      await verifyInstalled(this.#deps, input, detected, signal);
      this.#verified.add(component);
    }
    await this.#deps.remember();
  }

  /** Verifies every managed component anew, for the command `verify`. */
  async verifyAll(signal: AbortSignal): Promise<void> {
    await this.#running;
    this.#verified.clear();
    await this.pass(signal, false);
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
