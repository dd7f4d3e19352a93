/** A change for tests of the transaction in which every kind of process has its part, restarted and live. */
import { chmod, mkdir, mkdtemp, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Component, Profile } from '../../common/names/names.ts';
import type { Detected, DetectedPod } from '../detect/detected.ts';
import { componentFolder } from '../layout.ts';
import type { Change, ComponentChange } from '../plan/change.ts';
import { CHANGE_ID, embedded } from '../plan/placeholders.ts';
import { refOfPod } from '../process/process-ref.ts';
import { detectedUnit, file, USER } from './fake-change.ts';
import { FakeNode } from './fake-node.ts';

const PODS = ['etcd', 'kube-apiserver', 'kube-controller-manager'] as const;
type Pod = (typeof PODS)[number];
const OLD = 'v20250601T000000Z-bbbbbb';

/** The manifest of a static pod as it is before the change. */
export function manifestOf(component: Pod): string {
  return `# by kubeadm
metadata:
  name: ${component}
  namespace: kube-system
spec:
  containers:
  - name: ${component}
    command:
    - ${component}
    - --v=2 # loud
`;
}

/**
 * A node with static pods: etcd without certificates of ours, an API server and a controller manager with older ones; kubelet and
 * kube-proxy are units. kubelet and the controller manager read their files again by themselves.
 *
 * @param parent - an existing folder, to be removed by the test; the node is a new folder in it
 */
export async function makeMixedNode(parent: string): Promise<FakeNode> {
  const node = new FakeNode(await mkdtemp(join(parent, 'node-')));
  node.units.clear();
  node.addUnit('kubelet.service', true);
  node.addUnit('kube-proxy.service');
  await mkdir(dirname(node.layout.changesFolder), { recursive: true });
  const put = async (path: string, text: string, mode: number) => {
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, text);
    await chmod(path, mode); // whatever the umask
  };
  for (const component of PODS) await put(node.kubelet.manifestPath(component), manifestOf(component), 0o600);
  await put(node.at('/etc/kubernetes/admin.conf'), 'old kubeconfig', 0o600);
  for (const component of ['kube-apiserver', 'kube-controller-manager', 'kubelet', 'kube-proxy'] as const) {
    const folder = componentFolder(node.layout, component);
    await put(join(folder, OLD, 'a.crt'), 'certificate before', 0o644);
    await put(join(folder, OLD, 'a.key'), 'key before', 0o600);
    await symlink(OLD, join(folder, 'current'));
  }
  await node.reload();
  for (const [name, unit] of node.units) unit.running = await node.configuration(name);
  await node.kubelet.settle();
  for (const pod of node.kubelet.pods.values()) pod.starts = 0;
  return node;
}

/** The change of that node. */
export async function makeMixedChange(node: FakeNode): Promise<Change> {
  const base = (component: Component, detected: Detected, profile: Profile): ComponentChange => ({
    component,
    detected,
    folder: componentFolder(node.layout, component),
    uid: USER,
    gid: USER,
    slots: [{ profile, file: 'a', dnsNames: [], ipAddresses: [], reason: 'missing' }],
    bundles: [{ authority: 'kubernetes', file: 'client-ca.crt' }],
    files: [],
    memberUpdate: undefined,
    target: 'enforced',
    takeUp: 'restart',
    summary: [],
  });
  const manifest = async (component: Pod, text: string) => ({
    ...(await file(node.kubelet.manifestPath(component), text, 0o600)),
    restarts: true,
  });
  const flags = { version: '1.20.2', flags: new Map(), effectiveFlags: new Map() };
  const etcd: Detected = {
    component: 'etcd',
    process: detectedPod(node, 'etcd'),
    version: '3.4.23',
    settings: new Map(),
    effectiveSettings: new Map(),
    configFile: undefined,
    environmentFile: undefined,
    environmentFilePath: node.at('/etc/kube-mtls/etcd.env'),
  };
  const apiserver: Detected = { component: 'kube-apiserver', process: detectedPod(node, 'kube-apiserver'), ...flags };
  const manager: Detected = {
    component: 'kube-controller-manager',
    process: detectedPod(node, 'kube-controller-manager'),
    ...flags,
    kubeconfigs: [],
  };
  const nothing = { path: '', text: '', mode: 0, uid: 0, gid: 0 };
  const kubelet: Detected = {
    component: 'kubelet',
    process: detectedUnit(node, 'kubelet.service', USER),
    ...flags,
    config: undefined,
    configDropIns: [],
    configDropInPath: undefined,
    configDropIn: undefined,
    kubeconfig: nothing,
    nodeName: 'cp1',
  };
  const proxy: Detected = {
    component: 'kube-proxy',
    process: detectedUnit(node, 'kube-proxy.service', USER),
    ...flags,
    kubeconfig: nothing,
  };
  const nobody = { kind: 'none', name: '', user: 'root', uid: 0, gid: 0, activeState: '' } as const;
  const admin: Detected = { component: 'admin', process: nobody, version: '', kubeconfigs: [] };
  const kubeconfig = `certificate ${embedded('a.crt')} key ${embedded('a.key')} roots ${embedded('client-ca.crt')}`;
  const marked = manifestOf('kube-apiserver').replace('spec:', `  annotations:\n    restarted-by: ${CHANGE_ID}\nspec:`);
  return {
    changeId: '20260101T000000Z-1a2b3c',
    fingerprint: 'f00d',
    components: [
      {
        ...base('etcd', etcd, 'etcd-server'),
        files: [await manifest('etcd', `${manifestOf('etcd')}    - --cert-file=x\n`)],
        dependants: [{ component: 'kube-apiserver', process: refOfPod(detectedPod(node, 'kube-apiserver')) }],
        memberUpdate: { memberId: '8e9e05c52164694d', before: node.peerUrls, after: ['https://10.0.0.1:2380'] },
      },
      {
        ...base('kube-apiserver', apiserver, 'kube-apiserver-serving'),
        files: [await manifest('kube-apiserver', marked)],
      },
      { ...base('kube-controller-manager', manager, 'kube-controller-manager-serving'), takeUp: 'live' },
      { ...base('kubelet', kubelet, 'kubelet-serving'), takeUp: 'live' },
      {
        ...base('kube-proxy', proxy, 'kube-proxy-client'),
        files: [await file(node.dropIn('kube-proxy.service'), '[Service]\n# new\n')],
      },
      {
        ...base('admin', admin, 'admin-client'),
        files: [await file(node.at('/etc/kubernetes/admin.conf'), kubeconfig, 0o600)],
      },
    ],
  };
}

function detectedPod(node: FakeNode, component: Pod): DetectedPod {
  const path = node.kubelet.manifestPath(component);
  return {
    kind: 'static-pod',
    name: `${component}-cp1`,
    namespace: 'kube-system',
    manifest: { path, text: manifestOf(component), mode: 0o600, uid: USER, gid: USER },
    container: component,
    command: [],
    environment: new Map(),
    mounts: [],
    user: 'root',
    uid: USER,
    gid: USER,
    activeState: 'active',
    effectiveCommand: [],
    effectiveEnvironment: new Map(),
  };
}
