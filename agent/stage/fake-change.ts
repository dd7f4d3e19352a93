/** A change for tests of the transaction: etcd and an API server turn to mutual TLS together. */
import { chmod, lstat, mkdir, mkdtemp, readFile, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Detected, DetectedUnit, SourceFile } from '../detect/detected.ts';
import { componentFolder } from '../layout.ts';
import type { Change, ComponentChange, FileChange } from '../plan/change.ts';
import type { SignedChange } from '../sign/signed-change.ts';
import { FakeNode } from './fake-node.ts';

/** Owner of what needs no user of its own. */
export const USER = process.getuid?.() ?? 0;
/** Owner of etcd's keys: a user of its own where the test may give files away. */
export const ETCD_USER = USER === 0 ? 4242 : USER;

/** What the files hold before and after; property tests vary it. */
export interface FakeTexts {
  environmentBefore: string | undefined;
  environmentAfter: string;
  dropInBefore: string;
  mode: number;
}

const TEXTS: FakeTexts = {
  environmentBefore: 'ETCD_NAME=a\n',
  environmentAfter: 'ETCD_NAME=a\nETCD_CERT_FILE=x\n',
  dropInBefore: '[Service]\n# old\n',
  mode: 0o640,
};

/**
 * A running node: etcd without certificates of ours, an API server with two older versions of them.
 *
 * @param parent - an existing folder, to be removed by the test; the node is a new folder in it
 */
export async function makeNode(parent: string, texts: FakeTexts = TEXTS): Promise<FakeNode> {
  const node = new FakeNode(await mkdtemp(join(parent, 'node-')));
  await mkdir(dirname(node.layout.changesFolder), { recursive: true });
  const put = async (path: string, text: string, mode: number) => {
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, text);
    await chmod(path, mode); // whatever the umask
  };
  const apiserver = componentFolder(node.layout, 'kube-apiserver');
  for (const version of ['v20250101T000000Z-aaaaaa', 'v20250601T000000Z-bbbbbb']) {
    await put(join(apiserver, version, 'serving.crt'), `certificate ${version}`, 0o644);
    await put(join(apiserver, version, 'serving.key'), `key ${version}`, 0o600);
  }
  await symlink('v20250601T000000Z-bbbbbb', join(apiserver, 'current'));
  await put(node.dropIn('kube-apiserver.service'), texts.dropInBefore, 0o644);
  if (texts.environmentBefore !== undefined) {
    await put(node.at('/etc/kube-mtls/etcd.env'), texts.environmentBefore, texts.mode);
  }
  await node.reload();
  for (const [name, unit] of node.units) unit.running = await node.configuration(name);
  return node;
}

/** The change of that node to mutual TLS. */
export async function makeChange(node: FakeNode, texts: FakeTexts = TEXTS): Promise<Change> {
  const etcd: ComponentChange = {
    component: 'etcd',
    detected: detectedEtcd(node),
    folder: componentFolder(node.layout, 'etcd'),
    uid: ETCD_USER,
    gid: ETCD_USER,
    slots: [
      { profile: 'etcd-server', file: 'server', dnsNames: ['a'], ipAddresses: ['10.0.0.1'], reason: 'missing' },
      { profile: 'etcd-peer', file: 'peer', dnsNames: ['a'], ipAddresses: ['10.0.0.1'], reason: 'missing' },
    ],
    bundles: [{ authority: 'etcd', file: 'client-ca.crt' }],
    files: [
      await file(node.at('/etc/kube-mtls/etcd.env'), texts.environmentAfter, 0o600),
      await file(node.dropIn('etcd.service'), '[Service]\nEnvironmentFile=/etc/kube-mtls/etcd.env\n'),
    ],
    memberUpdate: { memberId: '8e9e05c52164694d', before: node.peerUrls, after: ['https://10.0.0.1:2380'] },
    target: 'enforced',
    takeUp: 'restart',
    summary: [],
  };
  const apiserver: ComponentChange = {
    component: 'kube-apiserver',
    detected: detectedApiserver(node),
    folder: componentFolder(node.layout, 'kube-apiserver'),
    uid: USER,
    gid: USER,
    slots: [
      { profile: 'kube-apiserver-serving', file: 'serving', dnsNames: ['a'], ipAddresses: [], reason: 'names changed' },
    ],
    bundles: [{ authority: 'kubernetes', file: 'client-ca.crt' }],
    files: [await file(node.dropIn('kube-apiserver.service'), '[Service]\n# new\n')],
    memberUpdate: undefined,
    target: 'enforced',
    takeUp: 'restart',
    summary: [],
  };
  return { changeId: '20260101T000000Z-1a2b3c', components: [etcd, apiserver], fingerprint: 'f00d' };
}

/** A file as it is and as it shall be. */
export async function file(path: string, text: string, mode = 0o644): Promise<FileChange> {
  return { path, before: await source(path), after: { path, text, mode, uid: USER, gid: USER }, restarts: false };
}

async function source(path: string): Promise<SourceFile | undefined> {
  const text = await readFile(path, 'utf8').catch(() => undefined);
  if (text === undefined) return undefined;
  const { mode, uid, gid } = await lstat(path);
  return { path, text, mode: mode & 0o7777, uid, gid };
}

/** The change with certificates; key and certificate of a slot tell that they belong together. */
export function fakeSigned(change: Change): SignedChange {
  const certificates = change.components.flatMap(({ component, slots }) =>
    slots.map(({ file, profile }) => ({
      component,
      file,
      profile,
      keyPem: `key ${component} ${file} of ${change.changeId}`,
      certificatePem: `certificate ${component} ${file} of ${change.changeId}`,
      serial: '1a',
      notAfterMs: Date.UTC(2027, 0, 1),
    })),
  );
  return {
    stage: 'signed',
    change,
    certificates,
    bundles: [
      { authority: 'etcd', rootsPem: 'roots of etcd' },
      { authority: 'kubernetes', rootsPem: 'roots of kubernetes' },
    ],
  };
}

/** A unit that runs. */
export function detectedUnit(node: FakeNode, name: string, uid: number): DetectedUnit {
  return {
    kind: 'unit',
    name,
    files: [],
    command: [],
    environment: new Map(),
    user: uid === 0 ? 'root' : 'etcd',
    uid,
    gid: uid,
    dropInPath: node.dropIn(name),
    dropIn: undefined,
    activeState: 'active',
    effectiveCommand: [],
    effectiveEnvironment: new Map(),
  };
}

function detectedEtcd(node: FakeNode): Detected {
  return {
    component: 'etcd',
    process: detectedUnit(node, 'etcd.service', ETCD_USER),
    version: '3.4.23',
    settings: new Map(),
    effectiveSettings: new Map(),
    configFile: undefined,
    environmentFile: undefined,
    environmentFilePath: node.at('/etc/kube-mtls/etcd.env'),
  };
}

function detectedApiserver(node: FakeNode): Detected {
  return {
    component: 'kube-apiserver',
    process: detectedUnit(node, 'kube-apiserver.service', USER),
    version: '1.20.2',
    flags: new Map(),
    effectiveFlags: new Map(),
  };
}
