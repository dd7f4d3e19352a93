/** The Node.js that goes into a package: from node_modules where npm installed it, else fetched and checked against package-lock.json. */
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { type RunCommand, runChecked } from '../common/run/command.ts';
import { type Architecture, nodePackages } from './architectures.ts';

/** What a release is fetched with. */
export interface ReleaseDeps {
  /** Folder that holds package-lock.json and node_modules. */
  repository: string;
  run: RunCommand;
  say: (text: string) => void;
}

const FETCH_MS = 10 * 60_000;

const lockSchema = z.object({
  packages: z.record(z.string(), z.object({ version: z.string().optional(), integrity: z.string().optional() })),
});

/**
 * Folder with bin/node and LICENSE. npm installs only the package of its own machine; the other one is fetched with
 * `npm pack`, from whatever registry npm is configured for, and kept in node_modules/.cache.
 *
 * @throws AppError 'unavailable' when npm cannot fetch it; Error when it is not what package-lock.json says
 */
export async function nodeRelease(deps: ReleaseDeps, architecture: Architecture): Promise<string> {
  const name = nodePackages[architecture];
  const installed = join(deps.repository, 'node_modules', name);
  if (existsSync(join(installed, 'bin/node'))) return installed;
  const { version, integrity } = await lockedPackage(deps.repository, name);
  const cache = join(deps.repository, 'node_modules/.cache/kube-mtls');
  const folder = join(cache, `${name}-${version}`);
  if (existsSync(folder)) return folder;
  deps.say(`fetching Node.js ${version} for ${architecture} (npm package ${name})`);
  const aside = `${folder}.part`;
  await rm(aside, { recursive: true, force: true });
  await mkdir(aside, { recursive: true });
  try {
    const pack = ['npm', 'pack', '--silent', '--pack-destination', aside, `${name}@${version}`] as const;
    await runChecked(deps.run, pack, { timeoutMs: FETCH_MS });
    const archive = join(aside, `${name}-${version}.tgz`);
    checkIntegrity(await readFile(archive), integrity, `${name}@${version}`);
    const members = ['package/bin/node', 'package/LICENSE'] as const;
    await runChecked(deps.run, ['tar', '-xzf', archive, '-C', aside, '--strip-components=1', ...members]);
    await rm(archive);
    await rename(aside, folder); // whole, or not there
  } finally {
    await rm(aside, { recursive: true, force: true });
  }
  return folder;
}

/**
 * Compares an archive with the integrity of package-lock.json, "sha512-BASE64".
 *
 * @throws Error when it differs, or is not a SHA-512
 */
export function checkIntegrity(archive: Uint8Array, integrity: string, what: string): void {
  const found = `sha512-${createHash('sha512').update(archive).digest('base64')}`;
  if (found !== integrity) {
    throw new Error(`${what} is not what package-lock.json says: its digest is ${found} and not ${integrity}`);
  }
}

async function lockedPackage(repository: string, name: string): Promise<{ version: string; integrity: string }> {
  const lock = lockSchema.parse(JSON.parse(await readFile(join(repository, 'package-lock.json'), 'utf8')));
  const entry = lock.packages[`node_modules/${name}`];
  if (entry?.version === undefined || entry.integrity === undefined) {
    throw new Error(`package-lock.json has no version and integrity of ${name}: run npm install once`);
  }
  return { version: entry.version, integrity: entry.integrity };
}
