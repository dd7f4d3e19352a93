/** Keeps the node as it should be: looks, plans, makes one change after another, and verifies what needs no change. */
import { AppError } from '../../common/errors/app-error.ts';
import type { Log } from '../../common/log/log.ts';
import type { Component } from '../../common/names/names.ts';
import type { Clock } from '../../common/time/clock.ts';
import type { Detected } from '../detect/detected.ts';
import type { Change, NodePlan } from '../plan/change.ts';
import type { PlanInput } from '../plan/plan-input.ts';
import { planNode } from '../plan/plan-node.ts';
import type { NodeSettings } from '../plan/settings.ts';
import type { AgentSettings, FailedChange } from '../report/agent-state.ts';
import type { RotateOutcome } from '../rotate.ts';
import type { Recovery } from './recover-node.ts';
import { type ReportFoundDeps, reportFound } from './report-found.ts';

/** Dependencies. */
export interface ReconcilerDeps extends ReportFoundDeps {
  clock: Clock;
  log: Log;
  intervalMs: number;
  /** As the server said last; undefined before it said anything. */
  settings(): AgentSettings | undefined;
  /** Changes that were undone, kept over restarts. */
  failed: FailedChange[];
  /** What a plan is made from; see lookAtNode. */
  look(settings: NodeSettings, signal: AbortSignal): Promise<PlanInput>;
  /** Makes one change; see rotate.ts. */
  rotate(change: Change, signal: AbortSignal): Promise<RotateOutcome>;
  /** Verifies what needs no change; see verifyInstalled. */
  verify(input: PlanInput, detected: Detected, signal: AbortSignal): Promise<void>;
  /** Brings a change that was left half-way to its end; see recoverNode. */
  recover(signal: AbortSignal): Promise<Recovery>;
  /** What the node's components refer to, after every look. */
  onLook(input: PlanInput): void;
  /** Writes statuses, settings and failed changes to disk. */
  remember(): Promise<void>;
}

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
    /** Their reason stays visible until the next pass tries them again. */
    const notBegun: FailedChange[] = [];
    try {
      // after every change the node is looked at anew: what comes next may follow from it
      for (;;) {
        if (!this.#whole) await this.#recover(signal);
        const settings = this.#deps.settings();
        if (settings === undefined) return { ...result, problem: 'the server has not said yet what this node is' };
        const input = await this.#deps.look(settings.node, signal);
        const plan = planNode(input);
        this.#deps.onLook(input);
        if (!this.#whole) return { ...result, problem: 'a change is neither kept nor undone: see status and the log' };
        reportFound({ ...this.#deps, failed: [...this.#deps.failed, ...notBegun] }, input, plan);
        if (awaitsEtcdStep(input)) return { ...result, problem: 'the server has not decided yet how far etcd goes' };
        const held = this.#whyHeld(settings);
        const change = plan.changes.find(
          ({ fingerprint }) =>
            held === undefined && !tried.has(fingerprint) && this.#mayTry(fingerprint, settings, again),
        );
        if (change === undefined) {
          await this.#verifyUnchanged(input, plan, signal);
          return again && held !== undefined && plan.changes.length > 0 ? { ...result, problem: held } : result;
        }
        tried.add(change.fingerprint);
        const outcome = await this.#make(change, settings, signal);
        if (outcome.outcome === 'not-begun') {
          const { retryGeneration } = settings;
          notBegun.push({ fingerprint: change.fingerprint, reason: outcome.reason, retryGeneration });
        }
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
    this.#whole = false;
    const outcome = await this.#deps.rotate(change, signal);
    this.#whole = outcome.outcome !== 'not-begun'; // what was staged may have withstood its removal
    for (const { component } of change.components) {
      if (outcome.outcome === 'kept') this.#verified.add(component);
      else this.#verified.delete(component);
    }
    if (outcome.outcome === 'undone') this.#fail(change.fingerprint, outcome.reason, settings.retryGeneration);
    if (outcome.outcome === 'kept') this.#forgive(change.fingerprint);
    await this.#deps.remember();
    return outcome;
  }

  async #recover(signal: AbortSignal): Promise<void> {
    const { whole, judged } = await this.#deps.recover(signal);
    const retryGeneration = this.#deps.settings()?.retryGeneration ?? 0;
    for (const { fingerprint, reason } of judged) this.#fail(fingerprint, reason, retryGeneration);
    if (judged.length > 0) await this.#deps.remember();
    this.#whole = whole;
  }

  /** It is not tried again until it differs, or an operator wants it. */
  #fail(fingerprint: string, reason: string, retryGeneration: number): void {
    this.#forgive(fingerprint);
    this.#deps.failed.push({ fingerprint, reason, retryGeneration });
  }

  #forgive(fingerprint: string): void {
    const { failed } = this.#deps;
    const index = failed.findIndex((change) => change.fingerprint === fingerprint);
    if (index >= 0) failed.splice(index, 1);
  }

  /** Why no change may begin now, or undefined. While the rollout is paused certificates would be issued for nothing. */
  #whyHeld(settings: AgentSettings): string | undefined {
    if (this.#deps.mode === 'observe')
      return 'this agent only observes: "kube-mtls-agent mode enforce" lets it change the node';
    if (settings.rolloutPaused) return 'the rollout is paused: resume it with "kube-mtls rollout resume" on the server';
    return undefined;
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
      const state = this.#deps.board.get(component)?.state;
      // one that has not come back yet, say after a boot, is looked at again
      const proved = this.#verified.has(component) && state !== 'detected' && state !== 'degraded';
      if (changing.has(component) || blocked.has(component) || proved) continue;
      await this.#deps.verify(input, detected, signal);
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

/** An etcd that was just found: the server decides its step from what was reported a moment ago, and settings wake the loop. */
function awaitsEtcdStep({ etcdCluster, settings }: PlanInput): boolean {
  return etcdCluster !== undefined && settings.etcdStep === undefined;
}
