/** kill -9 of the agent at every stage of a change that turns etcd and the API server to mutual TLS together. */
import assert from 'node:assert/strict';
import { describe } from 'node:test';
import { CHECKPOINTS } from '../../agent/stage/checkpoints.ts';
import { dieAt, recover } from '../lab/agent-deaths.ts';
import { stepsOnCluster } from '../lab/cluster-fleet.ts';
import { startUnitCluster } from '../lab/clusters.ts';
import { installPackage, joinLine } from '../lab/fleet.ts';
import { assertWhole } from './whole.ts';

/** Those of the undo take two deaths each, so a real cluster sees some of them; agent/undo/crash.test.ts walks all. */
const FORWARD = CHECKPOINTS.slice(0, CHECKPOINTS.indexOf('staging-removed')).filter(
  // these are units; and nobody watches an earlier version, there is none
  (name) => name !== 'manifest-written' && name !== 'nudge-linked' && name !== 'nudge-moved',
);
const BACK = ['undoing', 'link-restored', 'unit-restored'] as const;

describe('kill -9 of the agent', () => {
  const { fleet, prepare, step } = stepsOnCluster(startUnitCluster);
  const cp1 = () => fleet().cluster.controlPlane;

  prepare(async () => {
    await installPackage(cp1(), 'agent');
    await cp1().sh(`${await joinLine(cp1(), '--role control-plane --node cp1')} --observe`);
    await fleet().view.until('cp1', 'kube-apiserver', ['DETECTED'], 60_000);
  });

  for (const checkpoint of FORWARD.filter((name) => name !== 'kept' && name !== 'old-versions-removed')) {
    step(`at ${checkpoint} leaves the node whole`, async () => {
      await dieAt(cp1(), checkpoint, 'enforce');
      await recover(cp1());
      assert.equal(await assertWhole(cp1()), 'old');
    });
  }

  for (const checkpoint of BACK) {
    step(`at ${checkpoint}, while it undoes, leaves the node whole`, async () => {
      await dieAt(cp1(), 'verifying', 'enforce');
      await dieAt(cp1(), checkpoint, 'observe');
      await recover(cp1());
      assert.equal(await assertWhole(cp1()), 'old');
    });
  }

  step('at kept leaves the node new', async () => {
    await dieAt(cp1(), 'kept', 'enforce');
    await recover(cp1());
    assert.equal(await assertWhole(cp1()), 'new');
  });
});
