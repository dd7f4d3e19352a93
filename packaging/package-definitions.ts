/** The two packages: what each is, its programs, and the files in it that are written by hand. */

/** A program: how it is called, where its code begins, and where its command lies. */
export interface Program {
  name: 'kube-mtls' | 'kube-mtls-server' | 'kube-mtls-agent';
  /** Path of the entry point in the repository. */
  entryPoint: string;
  /** Folder of the command; those that only root runs are in sbin. */
  commandFolder: 'usr/bin' | 'usr/sbin';
}

/** A package. */
export interface PackageDefinition {
  name: 'kube-mtls-server' | 'kube-mtls-agent';
  /** Folder below packaging/ with the maintainer scripts and the files below. */
  folder: 'server' | 'agent';
  /** Files of that folder: name there, and path in the package. Those below etc are conffiles. */
  files: Readonly<Record<string, string>>;
  synopsis: string;
  /** Paragraphs of the long description. */
  description: readonly string[];
  /** Packages of Debian's that it needs beside what Node.js and its unit do. */
  depends: readonly string[];
  programs: readonly Program[];
  /** Pages of packaging/man, NAME.SECTION. */
  manPages: readonly string[];
}

/** Both packages. */
export const packages: readonly PackageDefinition[] = [
  {
    name: 'kube-mtls-server',
    folder: 'server',
    files: {
      'kube-mtls-server.service': 'usr/lib/systemd/system/kube-mtls-server.service',
      'sysusers.conf': 'usr/lib/sysusers.d/kube-mtls-server.conf',
      'lintian-overrides': 'usr/share/lintian/overrides/kube-mtls-server',
    },
    synopsis: 'CA server of mutual TLS for Kubernetes fleets',
    description: [
      'The certificate authority, inventory and coordinator of a fleet of nodes on which kube-mtls-agent runs: it enrols nodes, signs the certificates of their Kubernetes components by policy, and lets agents restart components one after another.',
      'This package also holds kube-mtls, the command line of operators. It brings its own Node.js and needs no other.',
      'Nothing runs before "kube-mtls-server init" made or imported the authorities.',
    ],
    depends: [],
    programs: [
      { name: 'kube-mtls-server', entryPoint: 'server/main.ts', commandFolder: 'usr/sbin' },
      { name: 'kube-mtls', entryPoint: 'server/cli/main.ts', commandFolder: 'usr/bin' },
    ],
    manPages: ['kube-mtls-server.8', 'kube-mtls-server.yaml.5', 'kube-mtls.1'],
  },
  {
    name: 'kube-mtls-agent',
    folder: 'agent',
    files: {
      'kube-mtls-agent.service': 'usr/lib/systemd/system/kube-mtls-agent.service',
      'agent.yaml': 'etc/kube-mtls/agent.yaml',
      'lintian-overrides': 'usr/share/lintian/overrides/kube-mtls-agent',
    },
    synopsis: 'node agent of mutual TLS for Kubernetes fleets',
    description: [
      'Finds the components of Kubernetes on this node, systemd units and static pods, has certificates for them signed by kube-mtls-server, switches them to mutual TLS one after another, proves that it works, goes back by itself where it does not, and renews the certificates.',
      'The package brings its own Node.js and needs no other.',
      'Nothing runs before "kube-mtls-agent join" made the node a member of a fleet.',
    ],
    // ss, which tells when a connection of an API server that stops last moved
    depends: ['iproute2'],
    programs: [{ name: 'kube-mtls-agent', entryPoint: 'agent/main.ts', commandFolder: 'usr/sbin' }],
    manPages: ['kube-mtls-agent.8', 'kube-mtls-agent.yaml.5'],
  },
];
