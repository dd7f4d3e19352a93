/** The steps of every component as the server learns them, told once each; a change that was undone ends the wait. */
import assert from 'node:assert/strict';
import { setTimeout as delay } from 'node:timers/promises';
import type { Component } from '../../common/names/names.ts';
import type { Operator } from './operator.ts';

/** A component in the JSON of the API. */
interface Step {
  component: string;
  state: string;
  reason?: string;
}

/** Watches one fleet. */
export class FleetSteps {
  readonly #operator: Operator;
  readonly #say: (text: string) => void;
  readonly #told = new Map<string, string>();

  constructor(operator: Operator, say: (text: string) => void) {
    this.#operator = operator;
    this.#say = say;
  }

  /**
   * Looks once, tells what is new, and returns what is not VERIFIED yet: "cp1 etcd: applying".
   *
   * @param wanted - components that have to be there, by node
   * @throws AssertionError when a change was undone
   */
  async unfinished(wanted: Readonly<Record<string, readonly Component[]>>): Promise<string[]> {
    const seen = new Map<string, string>();
    const { nodes = [] } = JSON.parse(await this.#operator.call('FleetService/GetFleetStatus')) as {
      nodes?: { name: string; components?: Step[] }[];
    };
    const undone: string[] = [];
    for (const { name, components = [] } of nodes) {
      for (const { component, state, reason = '' } of components) {
        const [what, now] = [`${name} ${word(component)}`, word(state)];
        seen.set(what, now);
        this.#tell(what, reason === '' ? now : `${now}: ${reason}`);
        if (now === 'rolled-back') undone.push(`${what}: ${reason}`);
      }
    }
    assert.deepEqual(undone, [], 'a change was undone');
    return Object.entries(wanted).flatMap(([node, components]) =>
      components.flatMap((component) => {
        const state = seen.get(`${node} ${component}`) ?? 'not there yet';
        return state === 'verified' ? [] : [`${node} ${component}: ${state}`];
      }),
    );
  }

  /**
   * Waits until all of them are VERIFIED.
   *
   * @throws AssertionError when a change was undone, or time runs out
   */
  async untilVerified(wanted: Readonly<Record<string, readonly Component[]>>, mostMs: number): Promise<void> {
    const startedMs = Date.now();
    for (;;) {
      const unfinished = await this.unfinished(wanted);
      const tookMs = Date.now() - startedMs;
      if (unfinished.length === 0)
        return this.#say(`every component is VERIFIED after ${(tookMs / 1000).toFixed(0)} s`);
      assert.ok(tookMs < mostMs, `not VERIFIED after ${mostMs / 1000} s: ${unfinished.join(', ')}`);
      await delay(1000);
    }
  }

  #tell(what: string, now: string): void {
    if (this.#told.get(what) !== now) this.#say(`${what} ${now}`);
    this.#told.set(what, now);
  }
}

function word(value: string): string {
  return value
    .replace(/^COMPONENT_STATE_|^COMPONENT_/, '')
    .toLowerCase()
    .replaceAll('_', '-');
}
