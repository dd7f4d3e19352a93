/** Verifies a component that needs no change: after a start of the agent, or on an operator's word. */
import type { Detected } from '../detect/detected.ts';
import { componentFolder } from '../layout.ts';
import type { PlanInput } from '../plan/plan-input.ts';
import { PREPARED } from '../report/change-report.ts';
import { installedCertificates } from '../report/installed-certificates.ts';
import type { StatusBoard } from '../report/status-board.ts';
import { isLeftStopped, showUnit, startedAtMs } from '../restart/unit-state.ts';
import { expectInstalled } from '../verify/expect.ts';
import { type VerifyDeps, verifyComponent } from '../verify/verify-change.ts';

/** Dependencies. */
export interface VerifyInstalledDeps {
  verify: VerifyDeps;
  board: StatusBoard;
}

/**
 * Verifies what is installed. The peers are not asked: nothing changed, and what is installed was kept only after they had their
 * word. One that fails now is DEGRADED.
 */
export async function verifyInstalled(
  { verify, board }: VerifyInstalledDeps,
  input: PlanInput,
  detected: Detected,
  signal: AbortSignal,
): Promise<void> {
  const { component, unit } = detected;
  const installed = input.current.find((each) => each.component === component);
  const known = board.get(component);
  if (installed?.target === undefined || known === undefined) return; // nothing of ours to verify
  const state = await showUnit(verify.run, unit.name, signal);
  if (isLeftStopped(state)) return; // nobody wants it to run
  const folder = componentFolder(input.layout, component);
  const target = targetOf(detected);
  const expectation = expectInstalled(detected, folder, installed, input.bundles, target);
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
  const peers = known.checks.filter(({ kind, result }) => kind === 'peers' && result !== 'failed');
  const found = { checks: [...checks, ...peers], certificates: installedCertificates(installed, folder) };
  if (failed !== undefined) {
    const reason = `${failed.kind} check failed: ${failed.summary}`;
    board.set(component, { ...found, state: 'degraded', reason });
  } else if (target === 'prepared') board.set(component, { ...found, state: 'pending', reason: PREPARED });
  else board.set(component, { ...found, state: 'verified', reason: '' });
}

/** Only an etcd can have its certificates and serve plaintext still. */
function targetOf(detected: Detected): 'prepared' | 'enforced' {
  if (detected.component !== 'etcd') return 'enforced';
  const urls = detected.effectiveSettings.get('listen-client-urls')?.value ?? '';
  return urls.includes('https://') ? 'enforced' : 'prepared';
}
