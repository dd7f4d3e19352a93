/** The words that both sides use for components, roles, profiles and authorities, and their numbers on the wire. */
import {
  Authority as AuthorityNumber,
  CheckKind as CheckNumber,
  Component as ComponentNumber,
  AgentMode as ModeNumber,
  RotationPhase as PhaseNumber,
  Profile as ProfileNumber,
  EvidenceRank as RankNumber,
  CheckResult as ResultNumber,
  NodeRole as RoleNumber,
  ComponentState as StateNumber,
} from '../../proto/gen/kubemtls/v1/types_pb.js';

/** A Kubernetes component, as its program is called; 'admin' stands for the kubeconfig files of administrators. */
export type Component =
  | 'etcd'
  | 'kube-apiserver'
  | 'kube-controller-manager'
  | 'kube-scheduler'
  | 'kubelet'
  | 'kube-proxy'
  | 'admin';
/** What a node is. */
export type Role = 'control-plane' | 'worker' | 'etcd';
/** Whether an agent may disturb what it manages. */
export type Mode = 'enforce' | 'observe';
/** A certificate authority of the server. */
export type Authority = 'fleet' | 'kubernetes' | 'etcd' | 'front-proxy';
/** A kind of certificate for a component. */
export type Profile =
  | 'kube-apiserver-serving'
  | 'kube-apiserver-kubelet-client'
  | 'kube-apiserver-etcd-client'
  | 'front-proxy-client'
  | 'etcd-server'
  | 'etcd-peer'
  | 'etcd-healthcheck-client'
  | 'kubelet-serving'
  | 'kubelet-client'
  | 'probe-client'
  | 'kube-controller-manager-serving'
  | 'kube-controller-manager-client'
  | 'kube-scheduler-serving'
  | 'kube-scheduler-client'
  | 'kube-proxy-client'
  | 'admin-client'
  | 'super-admin-client';
/** How far the change of an authority's root has come; 'settled' when none is under way. */
export type RotationPhase = 'settled' | 'trust' | 'reissue' | 'drop';
/** Where a component of a node stands. */
export type ComponentState =
  | 'detected'
  | 'pending'
  | 'waiting-for-permit'
  | 'applying'
  | 'verifying'
  | 'verified'
  | 'rolled-back'
  | 'failed'
  | 'degraded';
/** One of the proofs. */
export type CheckKind = 'unit' | 'journal' | 'handshake' | 'cluster' | 'peers';
/** Outcome of a check. */
export type CheckResult = 'passed' | 'failed' | 'inconclusive' | 'skipped';
/**
 * How much a line of evidence proves, the most first. proof: what this agent did or saw itself, now; readiness: what the cluster answers;
 * hint: a line of a log, which decides only where nobody outside the component can cause it.
 */
export type EvidenceRank = 'proof' | 'readiness' | 'hint';

/** Words and numbers of one enumeration, both ways. */
export interface Words<W extends string, N extends number> {
  /** All words. */
  readonly all: readonly W[];
  /** The number on the wire. */
  toNumber(word: W): N;
  /** The word, or undefined for a number that says nothing here. */
  toWord(number: N): W | undefined;
  /** True when the text is one of the words. */
  is(text: string): text is W;
}

function words<W extends string, N extends number>(table: Record<W, N>): Words<W, N> {
  const all = Object.keys(table) as W[]; // the keys of a Record<W, N> are exactly W
  const byNumber = new Map(all.map((word) => [table[word], word]));
  return {
    all,
    toNumber: (word) => table[word],
    toWord: (number) => byNumber.get(number),
    is: (text): text is W => Object.hasOwn(table, text),
  };
}

export const components = words<Component, ComponentNumber>({
  etcd: ComponentNumber.ETCD,
  'kube-apiserver': ComponentNumber.KUBE_APISERVER,
  'kube-controller-manager': ComponentNumber.KUBE_CONTROLLER_MANAGER,
  'kube-scheduler': ComponentNumber.KUBE_SCHEDULER,
  kubelet: ComponentNumber.KUBELET,
  'kube-proxy': ComponentNumber.KUBE_PROXY,
  admin: ComponentNumber.ADMIN,
});

export const roles = words<Role, RoleNumber>({
  'control-plane': RoleNumber.CONTROL_PLANE,
  worker: RoleNumber.WORKER,
  etcd: RoleNumber.ETCD,
});

export const modes = words<Mode, ModeNumber>({ enforce: ModeNumber.ENFORCE, observe: ModeNumber.OBSERVE });

export const authorities = words<Authority, AuthorityNumber>({
  fleet: AuthorityNumber.FLEET,
  kubernetes: AuthorityNumber.KUBERNETES,
  etcd: AuthorityNumber.ETCD,
  'front-proxy': AuthorityNumber.FRONT_PROXY,
});

export const profiles = words<Profile, ProfileNumber>({
  'kube-apiserver-serving': ProfileNumber.KUBE_APISERVER_SERVING,
  'kube-apiserver-kubelet-client': ProfileNumber.KUBE_APISERVER_KUBELET_CLIENT,
  'kube-apiserver-etcd-client': ProfileNumber.KUBE_APISERVER_ETCD_CLIENT,
  'front-proxy-client': ProfileNumber.FRONT_PROXY_CLIENT,
  'etcd-server': ProfileNumber.ETCD_SERVER,
  'etcd-peer': ProfileNumber.ETCD_PEER,
  'etcd-healthcheck-client': ProfileNumber.ETCD_HEALTHCHECK_CLIENT,
  'kubelet-serving': ProfileNumber.KUBELET_SERVING,
  'kubelet-client': ProfileNumber.KUBELET_CLIENT,
  'probe-client': ProfileNumber.PROBE_CLIENT,
  'kube-controller-manager-serving': ProfileNumber.KUBE_CONTROLLER_MANAGER_SERVING,
  'kube-controller-manager-client': ProfileNumber.KUBE_CONTROLLER_MANAGER_CLIENT,
  'kube-scheduler-serving': ProfileNumber.KUBE_SCHEDULER_SERVING,
  'kube-scheduler-client': ProfileNumber.KUBE_SCHEDULER_CLIENT,
  'kube-proxy-client': ProfileNumber.KUBE_PROXY_CLIENT,
  'admin-client': ProfileNumber.ADMIN_CLIENT,
  'super-admin-client': ProfileNumber.SUPER_ADMIN_CLIENT,
});

export const rotationPhases = words<RotationPhase, PhaseNumber>({
  settled: PhaseNumber.UNSPECIFIED,
  trust: PhaseNumber.TRUST,
  reissue: PhaseNumber.REISSUE,
  drop: PhaseNumber.DROP,
});

export const componentStates = words<ComponentState, StateNumber>({
  detected: StateNumber.DETECTED,
  pending: StateNumber.PENDING,
  'waiting-for-permit': StateNumber.WAITING_FOR_PERMIT,
  applying: StateNumber.APPLYING,
  verifying: StateNumber.VERIFYING,
  verified: StateNumber.VERIFIED,
  'rolled-back': StateNumber.ROLLED_BACK,
  failed: StateNumber.FAILED,
  degraded: StateNumber.DEGRADED,
});

export const checkKinds = words<CheckKind, CheckNumber>({
  unit: CheckNumber.UNIT,
  journal: CheckNumber.JOURNAL,
  handshake: CheckNumber.HANDSHAKE,
  cluster: CheckNumber.CLUSTER,
  peers: CheckNumber.PEERS,
});

export const checkResults = words<CheckResult, ResultNumber>({
  passed: ResultNumber.PASSED,
  failed: ResultNumber.FAILED,
  inconclusive: ResultNumber.INCONCLUSIVE,
  skipped: ResultNumber.SKIPPED,
});

export const evidenceRanks = words<EvidenceRank, RankNumber>({
  proof: RankNumber.PROOF,
  readiness: RankNumber.READINESS,
  hint: RankNumber.HINT,
});
