/** What a component should look like; the comparison with what is there makes a change of it, or nothing. */
import type { Profile } from '../../common/names/names.ts';
import type { Detected, Problem, SourceFile } from '../detect/detected.ts';
import type { BundleFile, Dependant, FileChange, KeyDemand, MemberUpdate, Target } from './change.ts';

/** A certificate that a component shall have. */
export interface WishedSlot {
  profile: Profile;
  /** Name of its files without extension. */
  file: string;
  /** Sorted. */
  dnsNames: string[];
  /** Sorted, canonical. */
  ipAddresses: string[];
  /** Names of the certificate in use that are not asked for, since they are somebody else's. */
  leftOut?: readonly string[];
  /** Names of the certificate in use that none of ours holds: "email:a@b", and a manager's other than its node's. */
  notHeld?: readonly string[];
  /** Where its callers could not do with every kind of key. */
  key?: KeyDemand;
}

/** A file as it is and as it shall be; the two may be equal. */
export type WishedFile = FileChange;

/** What a component should look like. */
export interface Wish {
  detected: Detected;
  slots: WishedSlot[];
  bundles: BundleFile[];
  files: WishedFile[];
  memberUpdate: MemberUpdate | undefined;
  target: Target;
  /** Files of the component's folder that the running process takes up by itself: "serving", "client-ca.crt". */
  reloads: ReadonlySet<string>;
  /**
   * For a static pod: the manifest with a mark that makes kubelet restart the pod, written when new certificates alone need a
   * restart. Undefined elsewhere.
   */
  restartMark: WishedFile | undefined;
  /** Static pods that cannot work while this one is away. */
  dependants?: readonly Dependant[];
  /** One line each, for a person. */
  summary: string[];
  /** What stays as it is although somebody might expect a change, a sentence each. */
  notes?: readonly string[];
  /** Why it must not be done. One is enough to leave the component alone. */
  problems: Problem[];
}

/** A file of ours, owned by root, beside how it is now. */
export function wishFile(path: string, before: SourceFile | undefined, text: string): WishedFile {
  return { path, before, after: { path, text, mode: 0o644, uid: 0, gid: 0 }, restarts: false };
}

/** A file of somebody else with another text; mode and owner stay. */
export function wishEdit(before: SourceFile, text: string): WishedFile {
  return { path: before.path, before, after: { ...before, text }, restarts: false };
}

/** True when the file is not yet as it shall be. */
export function differs({ before, after }: WishedFile): boolean {
  if (before === undefined) return true;
  return (
    before.text !== after.text || before.mode !== after.mode || before.uid !== after.uid || before.gid !== after.gid
  );
}
