/**
 * Tests on hosts of a lab whose steps build on each other: each has a time limit, the first that fails leaves the evidence of its hosts,
 * and those after it are skipped instead of waiting for what cannot come.
 */
import { after, before, it, type TestContext } from 'node:test';
import { buildPackages } from './fleet.ts';
import { Lab } from './lab.ts';

const MINUTES_MS = 60_000;
/** A step that has no limit of its own. */
const STEP_MS = 15 * MINUTES_MS;
/** What is made once a machine takes ten minutes, and more when the machine is busy. */
const PREPARATION_MS = 60 * MINUTES_MS;

/** Declares the preparation and the steps of one suite. */
export interface LabSteps {
  /** The lab; it is there from the first preparation on. */
  lab(): Lab;
  /** Says something of the progress, with the time of day in UTC. */
  say(text: string): void;
  /** Does something before the first step; those that are declared first come first. */
  prepare(act: () => Promise<void>): void;
  /** Declares one test; the default limit is 15 minutes. */
  step(name: string, act: (test: TestContext) => Promise<void> | void, options?: { mostMs: number }): void;
  /** Does something after the last step, also after a failure; what is declared last comes first, and the lab's end comes last. */
  atEnd(act: () => Promise<unknown> | undefined): void;
}

/** Says something of the progress, with the time of day in UTC. */
export function say(text: string): void {
  console.log(`# ${new Date().toISOString().slice(11, 19)} ${text}`);
}

/** Declares for one suite that it runs on a lab of its own with the packages of this checkout. */
export function stepsOnLab(): LabSteps {
  let lab: Lab | undefined;
  let failed: string | undefined;
  const ends: (() => Promise<unknown> | undefined)[] = [];

  /** Does it within its limit; when it fails, the evidence is kept. */
  async function attempt(name: string, mostMs: number, act: () => Promise<void> | void): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const tooLong = new Promise<never>((_resolve, reject) => {
      timer = setTimeout(() => reject(new Error(`${name}: not done after ${mostMs / 1000} s`)), mostMs);
    });
    try {
      await Promise.race([act(), tooLong]);
    } catch (error) {
      failed = name;
      const folder = await lab?.keepEvidence(name);
      if (folder !== undefined) say(`${name}: FAILED; journals and logs of the hosts are in ${folder}`);
      throw error;
    } finally {
      clearTimeout(timer);
    }
  }

  const prepare: LabSteps['prepare'] = (act) => before(() => attempt('the preparation', PREPARATION_MS, act));
  prepare(async () => {
    await buildPackages(say);
    lab = await Lab.open(say);
  });
  after(async () => {
    for (const end of ends.toReversed()) await end();
    await lab?.close();
  });

  return {
    ...{ say, prepare },
    lab() {
      if (lab === undefined) throw new Error('the lab is not open yet');
      return lab;
    },
    step: (name, act, { mostMs } = { mostMs: STEP_MS }) =>
      it(name, async (test) => {
        if (failed === undefined) await attempt(name, mostMs, () => act(test));
        else test.skip(`${failed} failed`);
      }),
    atEnd: (act) => ends.push(act),
  };
}
