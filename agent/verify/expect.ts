/** What a component has to show after a change, or has to show still. */
import { join } from 'node:path';
import type { Authority } from '../../common/names/names.ts';
import { parseCertificate } from '../../common/x509/certificate.ts';
import type { Detected } from '../detect/detected.ts';
import type { ComponentChange, Target } from '../plan/change.ts';
import type { InstalledFolder } from '../plan/plan-input.ts';
import type { SignedChange } from '../sign/signed-change.ts';
import type { Expectation } from './expectation.ts';

/**
 * After a change: the serials that were just issued.
 *
 * @param live whether the process was left running to take the files up by itself
 */
export function expectAfterChange(signed: SignedChange, change: ComponentChange, live: boolean): Expectation {
  const own = signed.certificates.filter(({ component }) => component === change.component);
  return {
    detected: change.detected,
    folder: join(change.folder, 'current'),
    serials: new Map(own.map(({ file, serial }) => [file, serial])),
    target: change.target,
    live,
    rootsPem: new Map(signed.bundles.map(({ authority, rootsPem }) => [authority, rootsPem])),
  };
}

/** Without a change: the serials that are installed, and no patience for a process that may not have taken them up yet. */
export function expectInstalled(
  detected: Detected,
  folder: string,
  installed: InstalledFolder,
  rootsPem: ReadonlyMap<Authority, string>,
  target: Target,
): Expectation {
  const serials = installed.certificates.map(({ file, pem }) => [file, parseCertificate(pem).serial] as const);
  return { detected, folder: join(folder, 'current'), serials: new Map(serials), target, live: false, rootsPem };
}
