/** What a build is called and when it counts as made: version, maintainer, commit and time. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { type RunCommand, runChecked } from '../common/run/command.ts';

/** A release of the project. */
export interface Release {
  /** As Debian orders versions: "0.1.0", "1.0.0~rc.1". */
  version: string;
  /** Seconds since 1970; every file of a package has this time, so that the same commit makes the same package. */
  epoch: number;
  /** Short name of the commit; "unknown" outside of a repository. */
  commit: string;
}

/** Name and address of those who make the packages. */
export const maintainer = 'kube-mtls maintainers <maintainers@kube-mtls.example>';

/** Reads package.json and asks git. SOURCE_DATE_EPOCH in the environment counts more than git. */
export async function readRelease(
  repository: string,
  run: RunCommand,
  environment: Readonly<Record<string, string | undefined>>,
): Promise<Release> {
  const { version } = z
    .object({ version: z.string() })
    .parse(JSON.parse(await readFile(join(repository, 'package.json'), 'utf8')));
  const [epoch, commit] = await lastCommit(repository, run);
  return { version: debianVersion(version), epoch: Number(environment.SOURCE_DATE_EPOCH ?? epoch), commit };
}

/** A semantic version as Debian writes it: what comes before a release sorts before it. */
export function debianVersion(version: string): string {
  return version.replace('-', '~');
}

/** Time and name of the commit; that of now, and "unknown", where there is no repository. */
async function lastCommit(repository: string, run: RunCommand): Promise<[epoch: string, commit: string]> {
  try {
    const text = await runChecked(run, ['git', '-C', repository, 'log', '-1', '--format=%ct %h']);
    const [epoch = '', commit = ''] = text.trim().split(' ');
    return [epoch, commit];
  } catch {
    return [String(Math.floor(Date.now() / 1000)), 'unknown']; // an unpacked archive
  }
}
