/** The layouts of the folder fixtures: what each says of its host, and the host itself below a temporary root. */
import { chmod, mkdir, mkdtemp, readdir, readFile, symlink } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import { z } from 'zod';
import { type Authority, authorities, components, roles } from '../../common/names/names.ts';
import type { Signer } from '../../common/x509/sign.ts';
import { detectNode } from '../detect/detect-node.ts';
import { FakeNode } from '../detect/fake-node.ts';
import { FakeCluster } from '../plan/fake-cluster.ts';
import { issueOdd } from '../plan/odd-certificate-for-tests.ts';
import type { PlanInput } from '../plan/plan-input.ts';
import { readTrust } from '../plan/read-trust.ts';

/** Every file below `node` has it at the end of its name, so that nothing formats or runs it. */
const SUFFIX = '.fixture';

const path = z.string().startsWith('/');
const names = z.array(z.string());

const schema = z.strictObject({
  description: z.string().min(1),
  /** Where the layout is taken from: project, file, version. */
  source: z.string().min(1),
  /** What the plan does wrong with it; the expected file says then what is wanted, and is not written by the test. */
  todo: z.string().optional(),
  node: z.string().min(1),
  role: z.enum(roles.all),
  addresses: names,
  /** The host's name where it is not the node's. */
  hostname: z.string().optional(),
  /** HOST:PORT of the API server; default the node's first address and 6443. */
  apiEndpoint: z.string().optional(),
  etcdStep: z.enum(['prepare', 'enforce']).default('enforce'),
  /** True for a cluster that has one CA for everything. */
  singleAuthority: z.boolean().default(false),
  /** As systemctl tells of them. */
  units: z
    .record(
      z.string(),
      z.strictObject({ fragment: path, dropIns: z.array(path).default([]), user: z.string().default('') }),
    )
    .default({}),
  /** What programs answer to --version. */
  versions: z.record(path, z.string()).default({}),
  /** What etcd lists, the local member first. */
  etcdMembers: z.array(z.strictObject({ name: z.string(), peerUrls: names })).default([]),
  /** Files of roots, with the authority whose root is in them. */
  roots: z.record(path, z.enum(authorities.all)).default({}),
  /** Certificates that are in use, with the names in them. */
  certificates: z.record(path, z.strictObject({ authority: z.enum(authorities.all), names })).default({}),
  /** Certificates as this program never makes them: names as in openssl's section ("DNS.1=a b"), and a serial number. */
  oddCertificates: z
    .record(path, z.strictObject({ authority: z.enum(authorities.all), names, serial: z.string().default('7') }))
    .default({}),
  /** Authorities whose root changes to one of ours, with the phase. */
  rotation: z.partialRecord(z.enum(authorities.all), z.enum(['trust', 'reissue', 'drop'])).default({}),
  /** Permissions other than 644, octal. */
  modes: z.record(path, z.string().regex(/^[0-7]{3}$/)).default({}),
  /** Symbolic links with their targets. */
  links: z.record(path, z.string()).default({}),
  /** As in agent.yaml. */
  overrides: z
    .strictObject({
      manifestsFolder: path.optional(),
      components: z
        .partialRecord(
          z.enum(components.all),
          z.strictObject({ unit: z.string().optional(), manifest: path.optional() }),
        )
        .optional(),
    })
    .default({}),
});

/** A layout without the files of its host. */
export type LayoutFile = z.infer<typeof schema>;

/** A host with its layout. Remove it with {@link FakeCluster.remove}. */
export interface LayoutNode {
  layout: LayoutFile;
  cluster: FakeCluster;
  /** What the plan is made from, read from the host as it is. */
  input(): Promise<PlanInput>;
}

/** CAs by authority. */
export type Signers = ReadonlyMap<Authority, Signer>;

/** Reads what a layout says of its host. */
export async function loadLayout(folder: string): Promise<LayoutFile> {
  return schema.parse(JSON.parse(await readFile(join(folder, 'layout.json'), 'utf8')));
}

/**
 * Makes the host.
 *
 * @param parent an existing folder; the host is a new folder in it
 */
export async function makeLayoutNode(folder: string, parent: string, signers: Signers): Promise<LayoutNode> {
  const layout = await loadLayout(folder);
  const node = new FakeNode(await mkdtemp(join(parent, 'host-')));
  const [first = ''] = layout.addresses;
  const apiEndpoint = layout.apiEndpoint ?? `${first}:6443`;
  const cluster = new FakeCluster(node, layout.singleAuthority ? oneFor(signers) : signers, {
    ...{ nodeName: layout.node, role: layout.role, addresses: layout.addresses },
    ...{ kubeletVerification: 'no' as const, etcdStep: layout.etcdStep },
    cluster: { name: 'lab', apiEndpoint, serviceAddress: '10.96.0.1', dnsDomain: 'cluster.local' },
  });
  cluster.members = layout.etcdMembers.map(({ name, peerUrls }, index) => ({
    ...{ id: `a${index + 1}`, name, peerUrls, clientUrls: [] },
  }));
  await writeFiles(folder, layout, cluster);
  for (const authority of authorities.all) {
    const phase = layout.rotation[authority];
    if (phase === undefined) continue;
    await cluster.beginRotation(authority, true);
    if (phase !== 'trust') cluster.setPhase(authority, phase);
  }
  for (const [program, answer] of Object.entries(layout.versions)) {
    node.answers.set(`${program} --version`, { code: 0, stdout: `${answer}\n`, stderr: '' });
  }
  for (const [name, { fragment, dropIns, user }] of Object.entries(layout.units)) {
    await node.addUnit(name, {
      text: await cluster.read(fragment),
      fragmentPath: fragment,
      dropIns: Object.fromEntries(await Promise.all(dropIns.map(async (at) => [at, await cluster.read(at)]))),
      user,
    });
  }
  return { layout, cluster, input: () => inputOf(layout, cluster) };
}

/** The text of the host with what differs from run to run as the fixtures have it. */
export function asInFixture(text: string, { cluster }: LayoutNode): string {
  const roots = [...cluster.signers.keys()].map((authority): [string, string] => [
    base64(cluster.rootPem(authority)),
    `{{roots of ${authority}}}`,
  ]);
  const plain = text.replaceAll(cluster.node.layout.root, '');
  return roots
    .reduce((at, [from, to]) => at.replaceAll(from, to), plain)
    .replaceAll(/(client-certificate-data: )LS0t\S+/g, '$1{{certificate}}')
    .replaceAll(/sha256:[0-9a-f]{64}/g, 'sha256:…')
    .replaceAll(/(?<=mode and owner .*)\d+:\d+/g, 'USER');
}

async function inputOf(asked: LayoutFile, cluster: FakeCluster): Promise<PlanInput> {
  const { hostname, node: nodeName, overrides } = asked;
  const { layout, run } = cluster.node;
  const input = await cluster.input();
  if (hostname === undefined && Object.keys(overrides).length === 0) return input;
  const deps = { layout, run, hostname: hostname ?? nodeName, overrides };
  const detected = await detectNode(deps, new AbortController().signal);
  return { ...input, detected, trust: await readTrust(detected, layout) };
}

/** Files of the layout, then what tests have to make anew: roots and certificates. */
async function writeFiles(folder: string, layout: LayoutFile, cluster: FakeCluster): Promise<void> {
  const { node } = cluster;
  await node.write(
    '/etc/passwd',
    'root:x:0:0:root:/root:/bin/bash\netcd:x:107:115::/var/lib/etcd/:/sbin/nologin\nkube:x:200:201::/:/bin/false\n',
  );
  await node.write('/etc/group', 'root:x:0:\netcd:x:115:\nkube:x:201:\n');
  for (const [at, target] of Object.entries(layout.links)) {
    await mkdir(dirname(node.path(at)), { recursive: true });
    await symlink(target, node.path(at));
  }
  const { pem, keyPem } = await cluster.issue('kubernetes', [], []);
  const tree = join(folder, 'node');
  for (const entry of await readdir(tree, { recursive: true, withFileTypes: true })) {
    if (entry.isDirectory()) continue;
    const file = join(entry.parentPath, entry.name);
    if (!file.endsWith(SUFFIX)) throw new Error(`${file} has to end in ${SUFFIX}`);
    const bytes = await readFile(file, 'latin1');
    const filled = bytes
      .replaceAll(/\{\{roots of ([\w-]+)\}\}/g, (_, authority: Authority) => base64(cluster.rootPem(authority)))
      .replaceAll('{{certificate}}', base64(pem))
      .replaceAll('{{key}}', base64(keyPem));
    await node.write(`/${relative(tree, file).slice(0, -SUFFIX.length)}`, Buffer.from(filled, 'latin1'));
  }
  for (const [at, authority] of Object.entries(layout.roots)) await node.write(at, cluster.rootPem(authority));
  for (const [at, { authority, names: all }] of Object.entries(layout.certificates)) {
    const isAddress = (name: string) => /^[\d.]+$|:/.test(name);
    const issued = await cluster.issue(
      authority,
      all.filter((name) => !isAddress(name)),
      all.filter(isAddress),
    );
    await node.write(at, issued.pem);
  }
  for (const [at, { authority, ...odd }] of Object.entries(layout.oddCertificates)) {
    const signer = cluster.signers.get(authority);
    if (signer === undefined) throw new Error(`no CA ${authority}`);
    await node.write(at, issueOdd(signer, odd));
  }
  for (const [at, mode] of Object.entries(layout.modes)) await chmod(node.path(at), Number.parseInt(mode, 8));
}

function oneFor(signers: Signers): Signers {
  const signer = signers.get('kubernetes');
  return new Map([...signers].map(([authority, own]) => [authority, signer ?? own]));
}

function base64(text: string): string {
  return Buffer.from(text).toString('base64');
}
