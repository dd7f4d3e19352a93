/** Reads what stands in the folders of components' certificates: what an earlier change installed. */
import { join } from 'node:path';
import { linkTarget } from '../../common/files/durable.ts';
import { listBounded, readBounded } from '../../common/files/read-bounded.ts';
import type { Component } from '../../common/names/names.ts';
import { keyMatches, parseCertificate } from '../../common/x509/certificate.ts';
import { loadKey } from '../../common/x509/keys.ts';
import { componentFolder, type Layout } from '../layout.ts';
import type { InstalledCertificate, InstalledFolder } from './plan-input.ts';

/** A folder of ours holds some ten files. */
const MOST_ENTRIES = 1000;
/** A bundle of ours holds a few roots; bytes. */
const MOST_BYTES = 1024 * 1024;

/**
 * The folders behind the links `current`, one per component. A missing or broken link is a folder without anything. Files
 * that cannot be read count as not there, so that the plan makes them anew.
 */
export async function readInstalled(layout: Layout, components: readonly Component[]): Promise<InstalledFolder[]> {
  return Promise.all(components.map((component) => readFolder(componentFolder(layout, component), component)));
}

async function readFolder(folder: string, component: Component): Promise<InstalledFolder> {
  const current = join(folder, 'current');
  const target = await linkTarget(current);
  const entries = target === undefined ? [] : await listBounded(current, { mostEntries: MOST_ENTRIES }).catch(() => []);
  const texts = (entries ?? [])
    .map(({ name }) => name)
    .filter((name) => name.endsWith('.crt'))
    .sort();
  const read = await Promise.all(texts.map(async (name) => ({ name, pem: await readText(join(current, name)) })));
  const bundles: InstalledFolder['bundles'] = [];
  const certificates: InstalledCertificate[] = [];
  for (const { name, pem } of read) {
    if (pem === undefined) continue;
    const file = name.slice(0, -'.crt'.length);
    if (file.endsWith('-ca')) bundles.push({ file: name, pem });
    else certificates.push({ file, pem, keyMatches: matches(pem, await readText(join(current, `${file}.key`))) });
  }
  return { component, target, certificates, bundles };
}

async function readText(path: string): Promise<string | undefined> {
  const found = await readBounded(path, MOST_BYTES).catch(() => undefined);
  return found?.kind === 'file' ? found.content.toString() : undefined;
}

function matches(certificatePem: string, keyPem: string | undefined): boolean {
  try {
    return keyPem !== undefined && keyMatches(loadKey(keyPem), parseCertificate(certificatePem));
  } catch {
    return false; // an unreadable half is no pair
  }
}
