/** The first stage: what of Kubernetes runs on this node, how, and with which certificates. Changes nothing. */
import { hostname } from 'node:os';
import { type Component, components } from '../../common/names/names.ts';
import type { RunCommand } from '../../common/run/command.ts';
import type { Layout } from '../layout.ts';
import { findCertificates } from './certificates.ts';
import type { Detected, DetectedNode, Problem } from './detected.ts';
import { detectEtcd } from './etcd.ts';
import { detectApiserver } from './kube-apiserver.ts';
import { detectKubelet } from './kubelet.ts';
import { toProblem } from './not-understood.ts';
import { findStaticPods } from './static-pods.ts';
import type { UnitDeps } from './unit.ts';

/** What detection needs. */
export interface DetectDeps {
  layout: Layout;
  run: RunCommand;
  /** The kernel's host name; default this machine's. */
  hostname?: string;
  /** Units that are named unlike their program; default COMPONENT.service. */
  unitNames?: Partial<Record<Component, string>>;
}

/**
 * Looks at the node. A component with anything about it that is not understood becomes a problem and is left out; the
 * other components are found all the same.
 *
 * @returns components in the order etcd, kube-apiserver, kubelet
 * @throws AppError 'unavailable' when systemd does not answer; the signal's reason when it fires
 */
export async function detectNode(deps: DetectDeps, signal: AbortSignal): Promise<DetectedNode> {
  const unitDeps: UnitDeps = { layout: deps.layout, run: deps.run, hostname: deps.hostname ?? hostname() };
  const problems = await findStaticPods(deps.layout);
  const found: Detected[] = [];
  for (const component of components.all) {
    signal.throwIfAborted();
    const unitName = deps.unitNames?.[component] ?? `${component}.service`;
    const detected = await detectOrProblem(component, unitDeps, unitName, signal);
    if (detected === undefined) continue;
    if ('message' in detected) problems.push(detected);
    else if (!problems.some((problem) => problem.component === component)) found.push(detected);
  }
  return { components: found, problems, certificates: await findCertificates(unitDeps, found, signal) };
}

const DETECTORS: Record<
  Component,
  (deps: UnitDeps, unitName: string, signal: AbortSignal) => Promise<Detected | undefined>
> = { etcd: detectEtcd, 'kube-apiserver': detectApiserver, kubelet: detectKubelet };

async function detectOrProblem(
  component: Component,
  deps: UnitDeps,
  unitName: string,
  signal: AbortSignal,
): Promise<Detected | Problem | undefined> {
  try {
    return await DETECTORS[component](deps, unitName, signal);
  } catch (error) {
    return toProblem(component, error);
  }
}
