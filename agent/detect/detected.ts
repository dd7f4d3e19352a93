/** What detection finds on a node. Only detection makes these; the plan takes nothing else. */
import type { Component } from '../../common/names/names.ts';

/** A text file as it was read. */
export interface SourceFile {
  path: string;
  text: string;
  /** Permission bits. */
  mode: number;
  uid: number;
  gid: number;
}

/** One word of a unit's command line. */
export interface Word {
  /** As it stands in the unit, quotes, escapes and variables included. */
  raw: string;
  /** What the program gets: unquoted, with %-specifiers and variables expanded. One raw word can expand to several. */
  values: string[];
}

/** The systemd unit of a component, as it is without kube-mtls' own drop-in. */
export interface DetectedUnit {
  /** "etcd.service". */
  name: string;
  /** Fragment first, then the drop-ins of others in the order systemd applies them. */
  files: SourceFile[];
  /** Words of the effective ExecStart, the program first. */
  command: Word[];
  /** Effective environment: Environment= and the EnvironmentFile= files, later ones winning. */
  environment: ReadonlyMap<string, string>;
  /** User that the process runs as. */
  user: string;
  uid: number;
  gid: number;
  /** Path of our drop-in, whether it exists or not. */
  dropInPath: string;
  /** Our drop-in as it is now. */
  dropIn: SourceFile | undefined;
  /** ActiveState of systemd: "active", "failed", … */
  activeState: string;
  /** Words of the command line that is in force now, our drop-in included. */
  effectiveCommand: Word[];
  /** Environment in force now, our drop-in included. */
  effectiveEnvironment: ReadonlyMap<string, string>;
}

/** Common to all components. */
interface DetectedBase {
  unit: DetectedUnit;
  /** As the program says it, "1.20.2" or "3.4.23"; empty when it could not be asked. */
  version: string;
}

/** An etcd member. Settings are the effective ones without our drop-in. */
export interface DetectedEtcd extends DetectedBase {
  component: 'etcd';
  /** Setting by flag name ("listen-client-urls") with where it comes from. */
  settings: ReadonlyMap<string, { value: string; from: 'flag' | 'environment' }>;
  /** As in force now, our drop-in included. */
  effectiveSettings: ReadonlyMap<string, { value: string; from: 'flag' | 'environment' }>;
  /** Our environment file as it is now. */
  environmentFile: SourceFile | undefined;
  /** Where our environment file stands, whether it exists or not. */
  environmentFilePath: string;
}

/** An API server. Flags are the effective ones without our drop-in; a repeated flag holds its values in order. */
export interface DetectedApiserver extends DetectedBase {
  component: 'kube-apiserver';
  flags: ReadonlyMap<string, readonly string[]>;
  effectiveFlags: ReadonlyMap<string, readonly string[]>;
}

/** A kubelet. */
export interface DetectedKubelet extends DetectedBase {
  component: 'kubelet';
  flags: ReadonlyMap<string, readonly string[]>;
  effectiveFlags: ReadonlyMap<string, readonly string[]>;
  /** The KubeletConfiguration named by --config, parsed only to check; undefined when there is none. */
  config: SourceFile | undefined;
  /** The kubeconfig named by --kubeconfig. */
  kubeconfig: SourceFile;
  /** Name of the Node object: --hostname-override or the host's name, lower case. */
  nodeName: string;
}

/** Any component. */
export type Detected = DetectedEtcd | DetectedApiserver | DetectedKubelet;

/** Something that keeps a component from being planned: named with file and line, the component is left alone. */
export interface Problem {
  component: Component;
  /** Lower case sentence that tells what to do. */
  message: string;
  path?: string;
  /** Counted from 1. */
  line?: number;
}

/** A certificate that some flag, configuration or kubeconfig refers to. */
export interface FoundCertificate {
  path: string;
  /** "kube-apiserver --tls-cert-file". */
  consumer: string;
  /** PEM of the first certificate, or undefined when it could not be read. */
  certificatePem: string | undefined;
  /** Why it could not be read or parsed, or empty. */
  problem: string;
}

/** The whole node. */
export interface DetectedNode {
  components: Detected[];
  problems: Problem[];
  certificates: FoundCertificate[];
}
