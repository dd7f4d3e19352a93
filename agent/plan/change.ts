/** What the plan decides. Only the plan makes these; every later stage takes a Change or something made from one. */
import type { Authority, Component, Profile } from '../../common/names/names.ts';
import type { KeyKind } from '../../common/x509/keys.ts';
import type { Detected, Problem, SourceFile } from '../detect/detected.ts';
import type { PodRef } from '../process/pod-containers.ts';

/** A kind of key that a certificate must have, and why. */
export interface KeyDemand {
  kind: KeyKind;
  /** "--tls-cipher-suites has no suite for ECDSA keys". */
  why: string;
}

/** A certificate that a component needs; its files are `${file}.crt` and `${file}.key` in the component's folder. */
export interface Slot {
  profile: Profile;
  file: string;
  /** DNS names asked for, sorted; empty for client certificates. */
  dnsNames: string[];
  /** IP addresses asked for, sorted. */
  ipAddresses: string[];
  /** Names of the certificate in use that are not asked for, since they are somebody else's. */
  leftOut?: readonly string[];
  /** Names of the certificate in use that none of ours holds: "email:a@b", and a manager's other than its node's. */
  notHeld?: readonly string[];
  /** Where its callers could not do with every kind of key. */
  key?: KeyDemand;
  /** Why it is issued now: "missing", "expires 2026-…", "names changed", "issuer changed". */
  reason: string;
}

/** A file of trusted roots in the component's folder. */
export interface BundleFile {
  authority: Authority;
  /** "client-ca.crt". */
  file: string;
}

/** A configuration file that changes. */
export interface FileChange {
  path: string;
  /** As it is, or undefined when it does not exist. */
  before: SourceFile | undefined;
  /** As it shall be; the text may hold placeholders (placeholders.ts), which staging fills in. */
  after: SourceFile;
  /** True for the manifest of a static pod: kubelet restarts the pod when it is written, so that is done in the stage restart. */
  restarts: boolean;
}

/** Peer URLs that the etcd cluster shall know for this member before it restarts. */
export interface MemberUpdate {
  memberId: string;
  before: string[];
  after: string[];
}

/** A static pod that cannot work while another one is away. */
export interface Dependant {
  component: Component;
  process: PodRef;
}

/**
 * What a component shall speak: `enforced` is mutual TLS with leaves of ours; `prepared` an etcd with its certificates in place
 * that serves plaintext still; `trusting` a component that trusts the roots of ours beside its own and keeps its own leaves.
 */
export type Target = 'enforced' | 'prepared' | 'trusting';

/** How a process comes to use new files. */
export type TakeUp = 'restart' | 'live';

/** Everything that changes for one component. The whole folder of its certificates is made new, keys included. */
export interface ComponentChange {
  component: Component;
  detected: Detected;
  /** Folder that holds the versions and the link `current`. */
  folder: string;
  /** Owner of the keys: the user that the component runs as. */
  uid: number;
  gid: number;
  slots: Slot[];
  bundles: BundleFile[];
  files: FileChange[];
  memberUpdate: MemberUpdate | undefined;
  /** What it will speak after the change; decides which checks apply. */
  target: Target;
  /** 'live': the running process takes the new files up by itself, and nothing is restarted. */
  takeUp: TakeUp;
  /** What cannot work while the component restarts. */
  dependants?: readonly Dependant[];
  /** One line each, for a person: "listen on https", "--tls-cert-file". */
  summary: string[];
  /** What stays as it is although somebody might expect a change, a sentence each. */
  notes?: readonly string[];
}

/** Components that change together, in the order in which they restart; undone together too. */
export interface Change {
  /** Sorts by time, unique on the node: "20260102T030405Z-1a2b3c". */
  changeId: string;
  components: ComponentChange[];
  /** Hash of what it does, the same for the same wish: a failed change is not tried again until it differs. */
  fingerprint: string;
}

/** What is to do on the node. */
export interface NodePlan {
  /** In the order in which they are made. */
  changes: Change[];
  /** What is left alone, and why. */
  problems: Problem[];
}
