/** Verifies a component that needs no change: after a start of the agent, or on an operator's word. */
import type { Detected } from '../detect/detected.ts';
import { componentFolder } from '../layout.ts';
import type { PlanInput } from '../plan/plan-input.ts';
import type { StatusBoard } from '../report/status-board.ts';
import { showUnit, startedAtMs } from '../restart/unit-state.ts';
import { expectInstalled } from '../verify/expect.ts';
import { type VerifyDeps, verifyComponent } from '../verify/verify-change.ts';

/** Dependencies. */
export interface VerifyInstalledDeps {
  verify: VerifyDeps;
  board: StatusBoard;
}

/**
 * Verifies what is installed. The peers are not asked: nothing changed. A component that was proved with its peers before stays
 * VERIFIED; one that fails now is DEGRADED.
 */
export async function verifyInstalled(
  { verify, board }: VerifyInstalledDeps,
  input: PlanInput,
  detected: Detected,
  signal: AbortSignal,
): Promise<void> {
  const { component, unit } = detected;
  const installed = input.current.find((folder) => folder.component === component);
  const known = board.get(component);
  if (installed?.target === undefined || known === undefined) return; // nothing of ours to verify
  const state = await showUnit(verify.run, unit.name, signal);
  const target = known.etcd === undefined || known.etcd.enforced ? 'enforced' : 'prepared';
  const expectation = expectInstalled(
    detected,
    componentFolder(input.layout, component),
    installed,
    input.bundles,
    target,
  );
  const running = {
    component,
    unit: unit.name,
    cursor: '',
    startedAtMs: startedAtMs(state, verify.clock.nowMs()),
    invocationId: state.invocationId,
    ok: state.activeState === 'active',
    detail: state.activeState,
  };
  const checks = await verifyComponent(verify, expectation, running, signal);
  const failed = checks.find(({ result }) => result === 'failed');
  const peers = known.checks.filter(({ kind }) => kind === 'peers');
  if (failed !== undefined) {
    board.set(component, {
      state: 'degraded',
      reason: `${failed.kind} check failed: ${failed.summary}`,
      checks: [...checks, ...peers],
    });
  } else {
    board.set(component, {
      state: known.state === 'degraded' ? 'verified' : known.state,
      reason: '',
      checks: [...checks, ...peers],
    });
  }
}
