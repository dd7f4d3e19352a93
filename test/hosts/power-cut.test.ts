/** The power of a host is cut in the middle of a change of its etcd; etcd and the agent then start together, as systemd starts them. */
import { describe } from 'node:test';
import { dieAt, untilRecovered } from '../lab/agent-deaths.ts';
import { assertPlain, onEtcdFleet, untilVerified } from '../lab/etcd-fleet.ts';
import { stepsOnLab } from '../lab/steps.ts';

describe('a power cut in a change of etcd', () => {
  const steps = stepsOnLab();
  const { lab, step } = steps;
  const fleet = onEtcdFleet(steps);

  /** The host boots on what was written before; its agent finds the change, and undoes it. */
  async function recoversFromPowerCut(): Promise<void> {
    await fleet().etcd.sh('kube-mtls-agent mode observe'); // so that it begins nothing new
    fleet().etcd = await lab().cutPower('e1');
    await untilRecovered(fleet().etcd);
    await assertPlain(fleet().etcd);
  }

  for (const checkpoint of ['file-written', 'unit-restarted', 'verifying'] as const) {
    step(`at ${checkpoint} leaves etcd as it was`, async () => {
      await dieAt(fleet().etcd, checkpoint, 'enforce');
      await recoversFromPowerCut();
    });
  }

  step('at unit-restored of the undo leaves etcd as it was', async () => {
    await dieAt(fleet().etcd, 'verifying', 'enforce');
    await dieAt(fleet().etcd, 'unit-restored', 'observe');
    await recoversFromPowerCut();
  });

  step('at kept leaves etcd with mutual TLS and its data', async () => {
    await dieAt(fleet().etcd, 'kept', 'enforce');
    fleet().etcd = await lab().cutPower('e1');
    await untilRecovered(fleet().etcd);
    await untilVerified(fleet());
  });
});
