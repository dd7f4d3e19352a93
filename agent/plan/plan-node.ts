/** What is to do on a node: decided from what is given, without reading or changing anything. */
import { type Component, components, type Role } from '../../common/names/names.ts';
import type { Detected, Problem } from '../detect/detected.ts';
import type { Change, ComponentChange, NodePlan } from './change.ts';
import { completeChange, missingRoots } from './complete-change.ts';
import type { LocalEtcd } from './etcd-servers.ts';
import { effectiveSetting } from './etcd-settings.ts';
import { fingerprint } from './fingerprint.ts';
import { guardGateway } from './guard-gateway.ts';
import { planAdmin } from './plan-admin.ts';
import { type ApiserverWish, planApiserverOnce } from './plan-apiserver.ts';
import { type EtcdWish, planEtcd } from './plan-etcd.ts';
import type { PlanInput } from './plan-input.ts';
import { planKubelet } from './plan-kubelet.ts';
import { planManager } from './plan-manager.ts';
import { planProxy } from './plan-proxy.ts';
import { sharedKubeconfigs } from './shared-kubeconfigs.ts';
import type { Wish } from './wish.ts';

/** What a node of a role may run. */
const allowed: Readonly<Record<Role, readonly Component[]>> = {
  'control-plane': components.all,
  worker: ['kubelet', 'kube-proxy'],
  etcd: ['etcd'],
};

/** A component with its wish, and what it takes to make it true. */
interface Draft<W extends Wish> {
  wish: W;
  change: ComponentChange | undefined;
  problems: Problem[];
}

/**
 * Plans the node: a change per component, in the order of the components; etcd and the API server together where etcd turns to TLS, since
 * one without the other would cut the API server off. A component with a problem is left alone, and so is the one that would have to
 * change with it.
 */
export function planNode(input: PlanInput): NodePlan {
  const { components: all, problems: notUnderstood } = input.detected;
  const silent = all.flatMap((each) => (each.component === 'etcd' ? guardGateway(each, input) : []));
  const problems = [...notUnderstood, ...roleProblems(input), ...sharedKubeconfigs(all), ...silent];
  const isBlocked = (component: Component) => problems.some((problem) => problem.component === component);
  const found = all.filter(({ component }) => !isBlocked(component));
  const draftOf = <C extends Component, W extends Wish>(
    component: C,
    plan: (detected: Extract<Detected, { component: C }>) => W | undefined,
  ) => draft(wishOf(found, component, plan), input);

  const etcd = draftOf('etcd', (each) => planEtcd(each, input));
  const local = localEtcd(input, etcd?.wish);
  const apiserver = draftOf('kube-apiserver', (each) => planApiserverOnce(each, local, input));
  const others = [
    draftOf('kube-controller-manager', (each) => planManager(each, input)),
    draftOf('kube-scheduler', (each) => planManager(each, input)),
    draftOf('kubelet', (each) => planKubelet(each, input)),
    draftOf('kube-proxy', (each) => planProxy(each, input)),
    draftOf('admin', (each) => planAdmin(each, input)),
  ];
  const together = couple(etcd, apiserver, isBlocked('kube-apiserver'));
  const groups = [
    ...(together ? [[...ready(etcd), ...ready(apiserver)]] : [ready(etcd), ready(apiserver)]),
    ...others.map(ready),
  ];
  return {
    changes: groups.filter((group) => group.length > 0).map((group) => changeOf(group, input)),
    problems: [...problems, ...[etcd, apiserver, ...others].flatMap((each) => each?.problems ?? [])],
  };
}

/** True when the two change together: then each waits for what holds the other up. */
function couple(
  etcd: Draft<EtcdWish> | undefined,
  apiserver: Draft<ApiserverWish> | undefined,
  apiserverBlocked: boolean,
): boolean {
  if (etcd?.change === undefined || !etcd.wish.turns) return false;
  if (apiserverBlocked) etcd.problems.push(waitsFor('etcd', 'kube-apiserver'));
  const { servers, overrides } = apiserver?.wish.unclearServers ?? { servers: [], overrides: [] };
  if (servers.length > 0) etcd.problems.push(unclearProblem(servers, 'servers'));
  if (overrides.length > 0) etcd.problems.push(unclearProblem(overrides, 'overrides'));
  if (apiserver?.change === undefined || !apiserver.wish.followsEtcd) return false;
  if (etcd.problems.length + apiserver.problems.length > 0) {
    if (etcd.problems.length === 0) etcd.problems.push(waitsFor('etcd', 'kube-apiserver'));
    if (apiserver.problems.length === 0) apiserver.problems.push(waitsFor('kube-apiserver', 'etcd'));
  }
  return true;
}

function wishOf<C extends Component, W extends Wish>(
  found: readonly Detected[],
  component: C,
  plan: (detected: Extract<Detected, { component: C }>) => W | undefined,
): W | undefined {
  const detected = found.find((each): each is Extract<Detected, { component: C }> => each.component === component);
  return detected === undefined ? undefined : plan(detected);
}

function draft<W extends Wish>(wish: W | undefined, input: PlanInput): Draft<W> | undefined {
  if (wish === undefined) return undefined;
  return { wish, change: completeChange(wish, input), problems: [...wish.problems, ...missingRoots(wish, input)] };
}

/** The member as the API server will find it: one that is not planned stays as it is. */
function localEtcd({ detected }: PlanInput, wish: EtcdWish | undefined): LocalEtcd | undefined {
  if (wish !== undefined) return { detected: wish.detected, listenClientUrls: wish.listenClientUrls, managed: true };
  const found = detected.components.find((each) => each.component === 'etcd');
  if (found === undefined) return undefined;
  return { detected: found, listenClientUrls: effectiveSetting(found, 'listen-client-urls'), managed: false };
}

function roleProblems({ detected, settings }: PlanInput): Problem[] {
  return detected.components
    .filter(({ component }) => !allowed[settings.role].includes(component))
    .map(({ component }) => ({
      component,
      message: `a node with the role ${settings.role} gets no certificates for ${component}: join again with a token of the right role, or remove ${component} from this node`,
    }));
}

function waitsFor(component: Component, other: Component): Problem {
  return { component, message: `it changes together with ${other}, which is held up: solve that first` };
}

/** What to do about each list: only --etcd-servers changes together with etcd. */
const adviceFor = {
  servers:
    ': name it by an address of this node or by localhost, so that the two change together, or another member by an address that the etcd cluster lists',
  overrides:
    ', and --etcd-servers-overrides does not change with it: take it out of there if --etcd-servers names it too, or name another member by an address that the etcd cluster lists',
} as const;

function unclearProblem(urls: readonly string[], list: keyof typeof adviceFor): Problem {
  const without = urls.every((url) => /^https:/i.test(url)) ? 'a certificate' : 'TLS';
  return {
    component: 'etcd',
    message: `kube-apiserver names ${urls.join(', ')} for etcd without ${without}, which may be this member${adviceFor[list]}`,
  };
}

function ready(each: Draft<Wish> | undefined): ComponentChange[] {
  return each?.change === undefined || each.problems.length > 0 ? [] : [each.change];
}

function changeOf(components: ComponentChange[], input: PlanInput): Change {
  return { changeId: input.changeId(), components, fingerprint: fingerprint(components, input.bundles) };
}
