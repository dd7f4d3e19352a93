import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { CHECKPOINTS } from '../stage/checkpoints.ts';
import { makeNode } from '../stage/fake-change.ts';
import { makeMixedNode } from '../stage/fake-mixed-change.ts';
import { assertWhole, ends, happy, NEVER, recovery, runUntil, SCENARIOS } from './crash-for-tests.ts';
import { dieAtEachStep } from './die-at-each-step-for-tests.ts';
import { answerFilesAtOnce } from './files-at-once-for-tests.ts';
import { recover } from './recover.ts';

answerFilesAtOnce();
const parent = mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'kube-mtls-crash-'));
after(() => rmSync(parent, { recursive: true }));

describe('a change whose agent dies', () => {
  it('passes every checkpoint that is exported, between the flows of this test', async () => {
    const seen = new Set<string>();
    for (const { flow, make } of Object.values(SCENARIOS)) {
      for (const name of await runUntil(await make(parent), flow, NEVER)) seen.add(name);
    }
    const node = await makeNode(parent);
    await runUntil(node, happy, 3);
    for (const name of await runUntil(node, recovery, NEVER)) seen.add(name);
    assert.deepEqual(
      CHECKPOINTS.filter((name) => !seen.has(name)),
      [],
    );
  });

  for (const [title, scenario] of Object.entries(SCENARIOS)) {
    const { from, flow, make } = scenario;
    // kubelet goes on when the agent dies, and has taken up what it saw before the agent is back, or has not
    for (const isPrompt of make === makeMixedNode ? [true, false] : [true]) {
      const kubelet = isPrompt ? '' : ', with a kubelet that is slow';
      it(`leaves the node fully old or fully new wherever it dies while the change ${title}${kubelet}`, async () => {
        const { old, fresh } = await ends(parent, scenario);
        const steps = await runUntil(await make(parent), flow, NEVER);
        const first = Math.max(1, steps.indexOf(from));
        assert.ok(steps.length > 25);
        const died = await dieAtEachStep(
          await make(parent),
          flow,
          async (node, passed) => {
            const where = `after dying at step ${passed.length}, ${passed.at(-1)}`;
            assert.deepEqual(await node.mismatchedPairs(), [], where);
            if (isPrompt) await node.kubelet.settle();
            await runUntil(node, recovery, NEVER);
            const state = passed.includes('kept') ? 'new' : 'old';
            await assertWhole(node, state === 'old' ? old : fresh, state, where);
            assert.deepEqual(await recover(node.deps(), new AbortController().signal), [], where);
          },
          first,
        );
        assert.deepEqual(died, steps);
      });
    }
  }
});
