/** A change of the roots as an operator drives it: begun, waited for phase by phase, and told what it waits for. */
import assert from 'node:assert/strict';
import { setTimeout as delay } from 'node:timers/promises';
import type { Authority } from '../../common/names/names.ts';
import type { Host } from './host.ts';
import type { Operator } from './operator.ts';

/** The phases in their order. */
export const PHASES = ['TRUST', 'REISSUE', 'DROP'] as const;

/** A change of roots in the JSON of the API. */
interface RotationView {
  phase?: string;
  complete?: boolean;
  waitingFor?: string[];
}

/** Drives the change of roots of one fleet. */
export class RootChange {
  readonly #operator: Operator;
  readonly #say: (text: string) => void;

  constructor(operator: Operator, say: (text: string) => void) {
    this.#operator = operator;
    this.#say = say;
  }

  /** Begins it on the server's host with the command that operators have; without names, of every authority. */
  async begin(server: Host, authorities: readonly Authority[] = []): Promise<void> {
    const names = authorities.length === 0 ? '' : ` --authority ${authorities.join(',')}`;
    this.#say((await server.sh(`kube-mtls authority rotate${names}`)).split('\n')[0] ?? '');
  }

  /**
   * Waits until the phase is complete everywhere, telling what it waits for, and begins the next.
   *
   * @param notice - looks at the fleet between two askings; what it throws ends the wait
   * @throws AssertionError when the phase is not complete in time, or is another
   */
  async advance(phase: (typeof PHASES)[number], mostMs: number, notice?: () => Promise<void>): Promise<void> {
    const startedMs = Date.now();
    let told = '';
    for (;;) {
      const now = await this.#rotation();
      assert.equal(now.phase, `ROTATION_PHASE_${phase}`);
      const tookMs = Date.now() - startedMs;
      // a report may open the phase again between the two askings
      if (now.complete === true && (await this.#wasAdvanced(phase))) {
        return this.#say(`phase ${phase} is complete after ${(tookMs / 1000).toFixed(0)} s`);
      }
      const waiting = (now.waitingFor ?? []).join('; ');
      if (waiting !== told) this.#say(`phase ${phase} waits for: ${waiting}`);
      told = waiting;
      await notice?.();
      assert.ok(tookMs < mostMs, `phase ${phase} is not complete after ${mostMs / 1000} s: ${waiting}`);
      await delay(2000);
    }
  }

  /** Waits until one that goes on by itself is at its end. */
  async untilEnded(mostMs: number, notice?: () => Promise<void>): Promise<void> {
    const startedMs = Date.now();
    for (;;) {
      const { phase, waitingFor = [] } = await this.#rotation();
      const tookMs = Date.now() - startedMs;
      if (phase === undefined) return this.#say(`the change of roots ended after ${(tookMs / 1000).toFixed(0)} s`);
      await notice?.();
      assert.ok(
        tookMs < mostMs,
        `the change of roots has not ended after ${mostMs / 1000} s: ${waitingFor.join('; ')}`,
      );
      await delay(2000);
    }
  }

  /** Asserts that none is under way. */
  async assertEnded(): Promise<void> {
    assert.equal((await this.#rotation()).phase, undefined, 'the change of roots is not at its end');
  }

  async #rotation(): Promise<RotationView> {
    return JSON.parse(await this.#operator.call('AuthorityService/GetAuthorityRotation')).rotation ?? {};
  }

  async #wasAdvanced(phase: string): Promise<boolean> {
    try {
      await this.#operator.call('AuthorityService/AdvanceAuthorityRotation', { from: `ROTATION_PHASE_${phase}` });
      return true;
    } catch (error) {
      if (error instanceof Error && error.message.includes('is not complete')) return false;
      throw error;
    }
  }
}
