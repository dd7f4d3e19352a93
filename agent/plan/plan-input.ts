/** Everything that a plan is made from. The plan itself reads nothing else, no file and no clock. */
import type { Authority, Component, RotationPhase } from '../../common/names/names.ts';
import type { DetectedNode } from '../detect/detected.ts';
import type { KeyChoice } from '../keys/choose-algorithm.ts';
import type { Layout } from '../layout.ts';
import type { NodeSettings } from './settings.ts';

/** A certificate in a component's folder. */
export interface InstalledCertificate {
  /** As in a Slot: without ".crt". */
  file: string;
  pem: string;
  /** Whether the key beside it is there, readable and the one of the certificate. */
  keyMatches: boolean;
}

/** What stands behind a component's link `current`. */
export interface InstalledFolder {
  component: Component;
  /** Target of the link, relative ("v20260102T030405Z-1a2b3c"), or undefined when there is none. */
  target: string | undefined;
  certificates: InstalledCertificate[];
  /** Files of roots, by file name ("client-ca.crt"). */
  bundles: { file: string; pem: string }[];
}

/** A file of roots that a component trusts now. */
export interface TrustFile {
  /** As the setting names it. */
  path: string;
  /** All of it, or undefined when it could not be read. */
  pem: string | undefined;
  /** Why it could not be read, or ''. */
  problem: string;
}

/** A member of an etcd cluster as etcd itself lists it. */
export interface EtcdMember {
  /** Hexadecimal. */
  id: string;
  /** Empty until the member has started once. */
  name: string;
  peerUrls: string[];
  clientUrls: string[];
}

/** The etcd cluster as the local member tells it. */
export interface EtcdCluster {
  /** Hexadecimal. */
  clusterId: string;
  /** The local member's. */
  memberId: string;
  members: EtcdMember[];
}

/** How far the change of an authority's root has come, as the server gives it. */
export interface AuthorityRotation {
  phase: RotationPhase;
  /** sha256:HEX of the key that signs leaves now; '' while nothing but probes is signed. */
  issuingPin: string;
  /** PEM of the roots that shall be dropped although they are in use. */
  retiredPem: string;
}

/** What a plan is made from. */
export interface PlanInput {
  detected: DetectedNode;
  layout: Layout;
  settings: NodeSettings;
  /** As read by readInstalled; a component that is not in it has nothing installed. */
  current: InstalledFolder[];
  /** As read by readTrust. */
  trust: TrustFile[];
  /** Roots by authority as the server gives them, PEM. */
  bundles: ReadonlyMap<Authority, string>;
  /** By authority; one that is not in it is settled, and any of its roots may have signed a leaf. */
  rotation: ReadonlyMap<Authority, AuthorityRotation>;
  /** Asked from etcd just now; undefined when there is none, or when it does not answer. */
  etcdCluster: EtcdCluster | undefined;
  /** Of the keys that will be made, as agent.yaml says it. */
  keyAlgorithm: KeyChoice;
  /** Milliseconds since the epoch. */
  nowMs: number;
  /** A new change identifier at each call: sorts by time, unique on the node. */
  changeId(): string;
}
