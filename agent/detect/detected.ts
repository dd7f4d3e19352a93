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

/** How a component runs. */
export type DetectedProcess = DetectedUnit | DetectedPod | NoProcess;

/** The systemd unit of a component, as it is without kube-mtls' own drop-in. */
export interface DetectedUnit {
  kind: 'unit';
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

/**
 * The static pod of a component. Its manifest is edited in place, so there is no state "without kube-mtls": what the manifest
 * says is in force as soon as kubelet has taken it up.
 */
export interface DetectedPod {
  kind: 'static-pod';
  /** As kubelet names it: the manifest's name and the node's, "etcd-cp1". */
  name: string;
  /** "kube-system". */
  namespace: string;
  manifest: SourceFile;
  /** Name of the container that runs the program. */
  container: string;
  /** The container's command and args, the program first; raw and value are the same. */
  command: Word[];
  /** The container's env, values only. */
  environment: ReadonlyMap<string, string>;
  /** hostPath volumes that are mounted under the same path as on the host; paths elsewhere the container cannot see. */
  mounts: readonly PodMount[];
  /** User that the container runs as: root unless runAsUser says otherwise. */
  user: string;
  uid: number;
  gid: number;
  /** "active" while a container runs with the manifest's command, "activating" while another or none does. */
  activeState: string;
  /** The same as command. */
  effectiveCommand: Word[];
  /** The same as environment. */
  effectiveEnvironment: ReadonlyMap<string, string>;
}

/** A hostPath volume in a container. */
export interface PodMount {
  /** Folder or file on the host, and in the container. */
  path: string;
  readOnly: boolean;
}

/** Nothing runs: files that people use. */
export interface NoProcess {
  kind: 'none';
  name: '';
  user: 'root';
  uid: 0;
  gid: 0;
  activeState: '';
}

/** Common to all components. */
interface DetectedBase {
  process: DetectedUnit | DetectedPod;
  /** As the program says it, "1.20.2" or "3.4.23"; empty when it could not be asked. */
  version: string;
}

/** A setting of etcd and where it comes from. */
export interface EtcdSetting {
  value: string;
  from: 'flag' | 'environment' | 'file';
}

/** An etcd member. Settings are the effective ones without our drop-in. */
export interface DetectedEtcd extends DetectedBase {
  component: 'etcd';
  /** Setting by flag name ("listen-client-urls") with where it comes from. */
  settings: ReadonlyMap<string, EtcdSetting>;
  /** As in force now, our drop-in included. */
  effectiveSettings: ReadonlyMap<string, EtcdSetting>;
  /** The file named by --config-file or ETCD_CONFIG_FILE; etcd then ignores every flag and variable but that one. */
  configFile: SourceFile | undefined;
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
  /** Where --config-dir names a folder: its files "*.conf" in the order in which they override, ours left out. */
  configDropIns: readonly SourceFile[];
  /** Where our own file in that folder stands, whether it exists or not; undefined without --config-dir. */
  configDropInPath: string | undefined;
  /** Our file as it is now. */
  configDropIn: SourceFile | undefined;
  /** The kubeconfig named by --kubeconfig. */
  kubeconfig: SourceFile;
  /** Name of the Node object: --hostname-override or the host's name, lower case. */
  nodeName: string;
}

/** A controller manager or a scheduler: both call the API server by a kubeconfig and serve metrics over TLS. */
export interface DetectedManager extends DetectedBase {
  component: 'kube-controller-manager' | 'kube-scheduler';
  flags: ReadonlyMap<string, readonly string[]>;
  effectiveFlags: ReadonlyMap<string, readonly string[]>;
  /** The kubeconfigs named by --kubeconfig, --authentication-kubeconfig, --authorization-kubeconfig and the scheduler's --config, each once. */
  kubeconfigs: readonly SourceFile[];
  /** The KubeSchedulerConfiguration named by a scheduler's --config. */
  config?: SourceFile;
}

/** A kube-proxy with a kubeconfig of its own. */
export interface DetectedProxy extends DetectedBase {
  component: 'kube-proxy';
  flags: ReadonlyMap<string, readonly string[]>;
  effectiveFlags: ReadonlyMap<string, readonly string[]>;
  /** Named by --kubeconfig or by clientConnection.kubeconfig of --config. */
  kubeconfig: SourceFile;
  /** The KubeProxyConfiguration named by --config. */
  config?: SourceFile;
}

/** The kubeconfig files of administrators. */
export interface DetectedAdmin {
  component: 'admin';
  process: NoProcess;
  version: '';
  /** Those that exist. */
  kubeconfigs: readonly { profile: 'admin-client' | 'super-admin-client'; file: SourceFile }[];
}

/** Any component. */
export type Detected =
  | DetectedEtcd
  | DetectedApiserver
  | DetectedManager
  | DetectedKubelet
  | DetectedProxy
  | DetectedAdmin;

/** A component that is a program. */
export type DetectedProgram = Exclude<Detected, DetectedAdmin>;

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
  /** True when there is no such file. */
  missing?: boolean;
}

/** The whole node. */
export interface DetectedNode {
  components: Detected[];
  problems: Problem[];
  certificates: FoundCertificate[];
}
