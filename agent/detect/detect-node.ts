/** The first stage: what of Kubernetes runs on this node, how, and with which certificates. Changes nothing. */
import { hostname } from 'node:os';
import { type Component, components } from '../../common/names/names.ts';
import type { RunCommand } from '../../common/run/command.ts';
import type { Layout } from '../layout.ts';
import { detectAdmin } from './admin.ts';
import type { CertificateReference } from './certificate-references.ts';
import { findCertificates } from './certificates.ts';
import type { Detected, DetectedNode, FoundCertificate, Problem } from './detected.ts';
import { detectEtcd } from './etcd.ts';
import { detectApiserver } from './kube-apiserver.ts';
import { detectProxy } from './kube-proxy.ts';
import { detectKubelet, staticPodFolder } from './kubelet.ts';
import type { ProcessDeps } from './load-process.ts';
import { detectManager } from './manager.ts';
import { toProblem } from './not-understood.ts';
import { otherPodReferences } from './other-pods.ts';
import type { DetectOverrides } from './overrides.ts';
import { findStaticPods, type StaticPods } from './static-pods.ts';
import { findUnclaimed } from './unclaimed.ts';
import type { OnNotAsked } from './version.ts';

/** What detection needs. */
export interface DetectDeps {
  layout: Layout;
  run: RunCommand;
  /** The kernel's host name; default this machine's. */
  hostname?: string;
  /** What agent.yaml says; default nothing. */
  overrides?: DetectOverrides;
  /** Told, at each look, of programs that are not asked for their version: whoever may put them there would become root. */
  onNotAsked?: OnNotAsked | undefined;
}

/** kubeadm's folder of static pods, for a kubelet that is not understood. */
const MANIFESTS_FOLDER = '/etc/kubernetes/manifests';

/**
 * Looks at the node. A component with anything about it that is not understood becomes a problem and is left out; the
 * other components are found all the same, and so is one that runs and that nothing tells of. One that agent.yaml leaves alone (manage: false) is left out too, and its
 * certificates are listed.
 *
 * @returns components in the order of {@link components.all}
 * @throws AppError 'unavailable' when systemd does not answer; the signal's reason when it fires
 */
export async function detectNode(deps: DetectDeps, signal: AbortSignal): Promise<DetectedNode> {
  const overrides = deps.overrides ?? {};
  const { layout, run, onNotAsked } = deps;
  const base = { layout, run, hostname: deps.hostname ?? hostname(), overrides, onNotAsked };
  // the kubelet first: it says where static pods stand and what the node is called
  const kubelet = await orProblem('kubelet', () => detectKubelet({ ...base, pods: new Map() }, signal));
  const understood = kubelet !== undefined && 'process' in kubelet ? kubelet : undefined;
  const manifests =
    overrides.manifestsFolder || (understood === undefined ? MANIFESTS_FOLDER : staticPodFolder(understood));
  const pods = await findStaticPods(
    { layout: deps.layout, nodeName: understood?.nodeName ?? base.hostname.toLowerCase() },
    manifests,
    overrides,
  );
  const everything: Detected[] = [];
  const problems: Problem[] = [];
  const absent: Component[] = [];
  for (const component of components.all) {
    signal.throwIfAborted();
    const found =
      component === 'kubelet'
        ? kubelet
        : await orProblem(component, () => DETECTORS[component]({ ...base, pods }, signal));
    if (found === undefined) absent.push(component);
    else if ('message' in found) problems.push(found);
    else everything.push(found);
  }
  const managed = ({ component }: { component: Component }) => overrides.components?.[component]?.manage !== false;
  const areStaticPodsKnown = understood !== undefined || Boolean(overrides.manifestsFolder);
  const looked = absent.filter((component) => managed({ component }));
  problems.push(...(await findUnclaimed(deps.layout, looked, manifests, areStaticPodsKnown)));
  const notRead = problems.filter((problem) => !managed(problem)).map(asCertificate);
  return {
    components: everything.filter(managed),
    problems: problems.filter(managed),
    certificates: [
      ...(await findCertificates(layout, everything, await podReferences(layout, manifests, pods))),
      ...notRead,
    ],
  };
}

const DETECTORS: Record<
  Exclude<Component, 'kubelet'>,
  (deps: ProcessDeps, signal: AbortSignal) => Promise<Detected | undefined>
> = {
  etcd: detectEtcd,
  'kube-apiserver': detectApiserver,
  'kube-controller-manager': (deps, signal) => detectManager('kube-controller-manager', deps, signal),
  'kube-scheduler': (deps, signal) => detectManager('kube-scheduler', deps, signal),
  'kube-proxy': detectProxy,
  admin: ({ layout, overrides }) => detectAdmin(layout, overrides),
};

/** What runs by a manifest that was found to be a component's, understood or not, is none of the others. */
function podReferences(
  layout: Layout,
  manifests: string | undefined,
  pods: StaticPods,
): Promise<CertificateReference[]> {
  const claimed = [...pods.values()].map((pod) => ('manifest' in pod ? pod.manifest.path : pod.place.path));
  return otherPodReferences(layout, manifests, new Set(claimed));
}

async function orProblem<Found extends Detected>(
  component: Component,
  detect: () => Promise<Found | undefined>,
): Promise<Found | Problem | undefined> {
  try {
    return await detect();
  } catch (error) {
    return toProblem(component, error);
  }
}

/** What is left alone is no problem, but that its certificates could not be listed is said in the list. */
function asCertificate({ component, message, path, line }: Problem): FoundCertificate {
  const problem = line === undefined ? message : `line ${line}: ${message}`;
  return { path: path ?? '', consumer: component, certificatePem: undefined, problem };
}
