/** The first administrator, root: ca.crt, admin.crt and admin.key in a folder that only root reads. */
import { join } from 'node:path';
import { AppError, messageOf } from '../../common/errors/app-error.ts';
import { makeFolder, writeFileDurably } from '../../common/files/durable.ts';
import { chainsTo, keyMatches, parseCertificate, parseCertificates } from '../../common/x509/certificate.ts';
import { generateKey, loadKey } from '../../common/x509/keys.ts';
import { lifeAtMs } from '../../common/x509/life.ts';
import type { Authorities } from '../authority/authorities.ts';
import { readIfThere } from '../authority/authority-files.ts';
import { recordEvent } from '../events/record-event.ts';
import { type IssueDeps, policyContext } from '../issue/issue-deps.ts';
import { only, signApprovals } from '../issue/sign-approvals.ts';
import { approveAdmin } from '../policy/approve.ts';

const name = 'root';

/**
 * Makes a key and a certificate with the role admin. A certificate that the store has for root already is over then.
 *
 * @throws AppError policy-refused when the fleet CA is about to end, unavailable when the store cannot be used
 */
export async function makeAdminCertificate(adminFolder: string, deps: IssueDeps): Promise<void> {
  const key = await generateKey('ecdsa-p256');
  const approval = approveAdmin({ name, publicKey: key.publicKey }, policyContext(deps));
  const { certificate } = only(await signApprovals(deps, [approval], { actor: 'server', source: '', changeId: '' }));

  // on record before the files are there: files that are there always work
  await deps.store.putAdmin({ name, role: 'admin', serial: certificate.serial });
  await recordEvent(deps.store, {
    kind: 'admin.recorded',
    message: `administrator ${name} has the role admin with the certificate ${certificate.serial}`,
  });
  const files = filesOf(adminFolder);
  await makeFolder(adminFolder, { mode: 0o700 });
  await writeFileDurably(files.ca, deps.authorities.rootsPem('fleet'), { mode: 0o644 });
  await writeFileDurably(files.key, key.pem, { mode: 0o600 });
  await writeFileDurably(files.cert, certificate.pem, { mode: 0o644 });
}

/** Why the administrator's files cannot be used now, or not for long; undefined while they serve. */
export async function adminProblem(
  adminFolder: string,
  authorities: Pick<Authorities, 'roots'>,
  nowMs: number,
): Promise<string | undefined> {
  const files = filesOf(adminFolder);
  const [ca, cert, key] = [await readIfThere(files.ca), await readIfThere(files.cert), await readIfThere(files.key)];
  if (ca === undefined || cert === undefined || key === undefined) return 'it was not there';
  try {
    const certificate = parseCertificate(cert);
    if (!keyMatches(loadKey(key), certificate)) return 'its key was another';
    const problem = chainsTo(certificate, authorities.roots('fleet'), new Date(nowMs));
    if (problem !== undefined) return problem;
    return nowMs > lifeAtMs(certificate, 2 / 3) ? `it would end ${certificate.notAfter.toISOString()}` : undefined;
  } catch (error) {
    return messageOf(error);
  }
}

/**
 * Checks that the folder is empty or belongs to this fleet CA, so that the key of another fleet is never overwritten.
 *
 * @param fleetRootsPem undefined before the fleet CA was made
 * @throws AppError conflict
 */
export async function assertOwnAdmin(adminFolder: string, fleetRootsPem: string | undefined): Promise<void> {
  const pem = await readIfThere(filesOf(adminFolder).ca);
  if (pem === undefined || isShared(pem, fleetRootsPem)) return;
  throw new AppError(
    'conflict',
    `${adminFolder} has the administrator's certificate of another fleet CA: move that folder away, init overwrites nothing`,
  );
}

function isShared(pem: string, rootsPem: string | undefined): boolean {
  if (rootsPem === undefined) return false;
  try {
    const roots = new Set(parseCertificates(rootsPem).map((root) => root.sha256));
    return parseCertificates(pem).some((root) => roots.has(root.sha256));
  } catch {
    return false; // nothing that we wrote
  }
}

function filesOf(adminFolder: string): { ca: string; cert: string; key: string } {
  return {
    ca: join(adminFolder, 'ca.crt'),
    cert: join(adminFolder, 'admin.crt'),
    key: join(adminFolder, 'admin.key'),
  };
}
