import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { listChanges } from '../stage/change-journal.ts';
import { assertWhole, ends, failing, NEVER, recovery, runUntil, SCENARIOS, type Scenario } from './crash-for-tests.ts';
import { dieAtEachStep } from './die-at-each-step-for-tests.ts';
import { answerFilesAtOnce } from './files-at-once-for-tests.ts';
import { recover } from './recover.ts';
import { undoChange } from './undo-change.ts';

answerFilesAtOnce();
const parent = mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'kube-mtls-crash-'));
after(() => rmSync(parent, { recursive: true }));

describe('a change whose agent dies, and more happens before it is recovered', () => {
  const again: [title: string, scenario: Scenario | undefined, deaths: string[]][] = [
    [
      'of units',
      SCENARIOS['of units succeeds'],
      ['before-copied', 'link-switched', 'restart-begun', 'after update-member', 'verifying', 'kept'],
    ],
    ['of every kind of process', SCENARIOS['is taken up by a restart after all'], ['manifest-written', 'verifying']],
  ];
  for (const [title, scenario, deaths] of again) {
    it(`recovers also when the recovery of a change ${title} dies at any of its steps`, async () => {
      assert.ok(scenario);
      const { flow, make } = scenario;
      const { old, fresh } = await ends(parent, scenario);
      const steps = await runUntil(await make(parent), flow, NEVER);
      for (const name of deaths) assert.ok(steps.includes(name), name);
      const died = await dieAtEachStep(await make(parent), flow, async (dead, passed) => {
        const name = deaths.find((each) => steps.lastIndexOf(each) + 1 === passed.length);
        if (name === undefined) return;
        const [state, tree] = name === 'kept' ? (['new', fresh] as const) : (['old', old] as const);
        await dead.kubelet.settle();
        await dieAtEachStep(dead, recovery, async (node, recovered) => {
          await runUntil(node, recovery, NEVER);
          await assertWhole(node, tree, state, `after dying at ${name} and again at ${recovered.at(-1)}`);
        });
      });
      assert.deepEqual(died, steps);
    });
  }

  for (const [title, scenario] of Object.entries(SCENARIOS)) {
    const { from, flow, make } = scenario;
    if (flow === failing) continue; // a unit that cannot start with the new files is none to boot with
    it(`is undone the same after a boot, when everything started from half-switched files: it ${title}`, async () => {
      const { old, fresh } = await ends(parent, scenario);
      const steps = await runUntil(await make(parent), flow, NEVER);
      const first = Math.max(1, steps.indexOf(from));
      const died = await dieAtEachStep(
        await make(parent),
        flow,
        async (node, passed) => {
          await node.reload();
          for (const name of node.units.keys()) await node.start(name);
          await node.kubelet.boot();
          await runUntil(node, recovery, NEVER);
          const state = passed.includes('kept') ? 'new' : 'old';
          await assertWhole(node, state === 'old' ? old : fresh, state, `after a power cut at ${passed.at(-1)}`);
        },
        first,
      );
      assert.deepEqual(died, steps);
    });
  }
});

describe('a change that meets an error', () => {
  for (const title of ['of units succeeds', 'is taken up by a restart after all']) {
    it(`is taken back in the same process whatever step fails, of one that ${title}`, async () => {
      const scenario = SCENARIOS[title];
      assert.ok(scenario);
      const { flow, make } = scenario;
      const { old } = await ends(parent, scenario);
      const steps = await runUntil(await make(parent), flow, NEVER);
      for (let at = 1; at <= steps.lastIndexOf('verifying') + 1; at++) {
        const node = await make(parent);
        let count = 0;
        const deps = node.deps(async () => {
          if (++count === at) throw Object.assign(new Error('no space left on device'), { code: 'ENOSPC' });
        });
        await assert.rejects(flow(deps, node));
        const where = `after an error at step ${at}, ${steps[at - 1]}`;
        const [left] = (await listChanges(node.layout)).records;
        if (at <= steps.indexOf('staged') + 1) assert.equal(left, undefined, `staging cleans up itself ${where}`);
        else if (left !== undefined) await undoChange(deps, left, 'a step failed');
        await recover(deps, new AbortController().signal);
        await assertWhole(node, old, 'old', where);
      }
    });
  }
});
