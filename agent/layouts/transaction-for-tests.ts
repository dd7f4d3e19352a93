/** A layout's host under the real rooms of the transaction: staged, applied, restarted, undone, with a death anywhere. */
import { mkdir, readdir, readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { parse } from 'yaml';
import { applyChange } from '../apply/apply-change.ts';
import type { Change } from '../plan/change.ts';
import { issuers } from '../plan/complete-change.ts';
import { restartUnits } from '../restart/restart-units.ts';
import type { SignedChange, SignedSlot } from '../sign/signed-change.ts';
import { FakeNode, type Step } from '../stage/fake-node.ts';
import { stageChange } from '../stage/stage-change.ts';
import type { TransactionDeps } from '../stage/transaction.ts';
import { undoChange } from '../undo/undo-change.ts';
import type { LayoutNode } from './layout-for-tests.ts';

/** The host with systemd and kubelet: what runs, runs by the files as they are now. */
export async function hostOf({ layout, cluster }: LayoutNode): Promise<FakeNode> {
  const host = new FakeNode(cluster.node.layout.root);
  host.units.clear();
  for (const name of Object.keys(layout.units)) host.addUnit(name);
  await mkdir(dirname(cluster.node.layout.changesFolder), { recursive: true });
  await host.reload();
  for (const [name, unit] of host.units) unit.running = await host.configuration(name);
  host.kubelet.isUp = await takesAll(host.kubelet.folder);
  await host.kubelet.settle();
  return host;
}

/** The change with certificates of the test's CAs. */
export async function sign({ cluster }: LayoutNode, change: Change): Promise<SignedChange> {
  const certificates: SignedSlot[] = [];
  for (const { component, slots } of change.components) {
    for (const { file, profile, dnsNames, ipAddresses } of slots) {
      const { pem, keyPem } = await cluster.issue(issuers[profile], dnsNames, ipAddresses);
      certificates.push({ component, file, profile, keyPem, certificatePem: pem, serial: '1a', notAfterMs: 0 });
    }
  }
  const bundles = [...cluster.signers.keys()].map((authority) => ({ authority, rootsPem: cluster.rootPem(authority) }));
  return { stage: 'signed', change: ownedByTest(change), certificates, bundles };
}

/** A change from its first file to its undoing. */
export async function doAndUndo(deps: TransactionDeps, signed: SignedChange): Promise<void> {
  const staged = await stageChange(deps, signed);
  const applied = await applyChange(deps, staged, { permitId: 'p1' });
  const { record } = await restartUnits(deps, applied);
  await undoChange(deps, record, 'the test wants it');
}

/**
 * Lets an agent process die at a step: from there on nothing of it ever runs again.
 *
 * @returns the names of the steps that it came to
 */
export async function runUntil(
  host: FakeNode,
  flow: (deps: TransactionDeps) => Promise<void>,
  at = Number.POSITIVE_INFINITY,
): Promise<string[]> {
  const seen: string[] = [];
  const died = Promise.withResolvers<void>();
  const step: Step = (name) => {
    seen.push(name);
    if (seen.length < at) return Promise.resolve();
    died.resolve();
    return new Promise(() => {});
  };
  await Promise.race([flow(host.deps(step)), died.promise]);
  return seen;
}

/** The fake kubelet takes pods whose first container has a command; with others it stays down, and no pod restarts. */
async function takesAll(folder: string): Promise<boolean> {
  const files = await readdir(folder).catch(() => []);
  const texts = await Promise.all(files.map((name) => readFile(join(folder, name), 'utf8')));
  return texts.every((text) => Array.isArray(parse(text)?.spec?.containers?.[0]?.command));
}

/** Only root can give files away; for others the test's own user stands for every owner. */
function ownedByTest(change: Change): Change {
  const uid = process.getuid?.() ?? 0;
  const gid = process.getgid?.() ?? 0;
  if (uid === 0) return change;
  return {
    ...change,
    components: change.components.map((component) => ({
      ...component,
      ...{ uid, gid },
      files: component.files.map((file) => ({ ...file, after: { ...file.after, uid, gid } })),
    })),
  };
}
