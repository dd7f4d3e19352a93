/** Verifies a component that needs no change: after a start of the agent, or on an operator's word. */
import type { Component } from '../../common/names/names.ts';
import type { Detected } from '../detect/detected.ts';
import { componentFolder } from '../layout.ts';
import type { Target } from '../plan/change.ts';
import type { InstalledFolder, PlanInput } from '../plan/plan-input.ts';
import { nameOf, refOf } from '../process/process-ref.ts';
import { showProcess } from '../process/show-process.ts';
import { PREPARED, TRUSTING } from '../report/change-report.ts';
import { installedCertificates } from '../report/installed-certificates.ts';
import type { StatusBoard } from '../report/status-board.ts';
import { installedTrust } from '../report/trust.ts';
import type { CheckOutcome } from '../verify/checks.ts';
import { expectInstalled } from '../verify/expect.ts';
import { type VerifyDeps, verifyComponent } from '../verify/verify-change.ts';

/** Dependencies. */
export interface VerifyInstalledDeps {
  verify: VerifyDeps;
  board: StatusBoard;
}

/**
 * Verifies what is installed. The peers are not asked: nothing changed, and what is installed was kept only after they had their
 * word. One of which a proof fails now is DEGRADED. Its log alone decides nothing: what it said may be over, and the other checks tell.
 */
export async function verifyInstalled(
  { verify, board }: VerifyInstalledDeps,
  input: PlanInput,
  detected: Detected,
  signal: AbortSignal,
): Promise<void> {
  const { component } = detected;
  const installed = input.current.find((each) => each.component === component);
  const known = board.get(component);
  if (installed?.target === undefined || known === undefined) return; // nothing of ours to verify
  const process = refOf(detected.process);
  const state = await showProcess(verify, process, signal);
  if (process.kind !== 'none' && !state.wanted) return; // nobody wants it to run
  const folder = componentFolder(input.layout, component);
  const target = targetOf(detected, installed);
  const expectation = expectInstalled(detected, folder, installed, input.bundles, target);
  const running = {
    component,
    process,
    unit: nameOf(process),
    live: false,
    cursor: '',
    startedAtMs: state.startedAtMs,
    invocationId: state.invocationId,
    ok: process.kind === 'none' || state.activeState === 'active',
    detail: state.text,
  };
  const checks = (await verifyComponent(verify, expectation, running, signal, 0)).map(asHint); // it is proved again soon
  const failed = checks.find(({ result }) => result === 'failed');
  const peers = known.checks.filter(({ kind, result }) => kind === 'peers' && result !== 'failed');
  const certificates = installedCertificates(installed, folder, input.bundles);
  const found = { checks: [...checks, ...peers], certificates };
  if (failed !== undefined) {
    const reason = `${failed.kind} check failed: ${failed.summary}`;
    board.set(component, { ...found, state: 'degraded', reason });
    return;
  }
  const trust = installedTrust(installed);
  if (target === 'enforced') board.set(component, { ...found, trust, state: 'verified', reason: '' });
  else board.set(component, { ...found, trust, state: 'pending', reason: target === 'prepared' ? PREPARED : TRUSTING });
}

/** The check of a log that complains, as what it is beside proofs. */
function asHint(check: CheckOutcome): CheckOutcome {
  return check.kind === 'journal' && check.result === 'failed' ? { ...check, result: 'inconclusive' } : check;
}

/** The certificate without which a component is only made to trust the roots of ours. */
const MAIN: Record<Component, readonly string[]> = {
  etcd: ['server'],
  'kube-apiserver': ['serving'],
  'kube-controller-manager': ['client'],
  'kube-scheduler': ['client'],
  kubelet: ['serving'],
  'kube-proxy': ['client'],
  admin: ['admin', 'super-admin'],
};

/** What a component speaks, by what is installed. Only an etcd can have its certificates and serve plaintext still. */
export function targetOf(detected: Detected, { certificates }: Pick<InstalledFolder, 'certificates'>): Target {
  const { component } = detected;
  if (component === 'etcd') {
    const urls = detected.effectiveSettings.get('listen-client-urls')?.value ?? '';
    if (!urls.includes('https://')) return 'prepared';
  }
  return certificates.some(({ file }) => MAIN[component].includes(file)) ? 'enforced' : 'trusting';
}
