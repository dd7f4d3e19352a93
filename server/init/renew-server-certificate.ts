/** The server's own TLS certificate: STATE/server/tls.crt and tls.key, made and renewed through the one way to sign. */
import { join } from 'node:path';
import { AppError, messageOf } from '../../common/errors/app-error.ts';
import { makeFolder, writeFileDurably } from '../../common/files/durable.ts';
import { chainsTo, keyMatches, parseCertificates } from '../../common/x509/certificate.ts';
import { generateKey, loadKey } from '../../common/x509/keys.ts';
import { lifeAtMs } from '../../common/x509/life.ts';
import { readIfThere } from '../authority/authority-files.ts';
import { serverFolder } from '../config/server-layout.ts';
import { recordEvent } from '../events/record-event.ts';
import { type IssueDeps, policyContext } from '../issue/issue-deps.ts';
import { only, signApprovals } from '../issue/sign-approvals.ts';
import { approveServer, serverHosts } from '../policy/approve.ts';

/** What it takes. */
export interface ServerCertificateDeps extends IssueDeps {
  /** Of this machine, see thisMachine. */
  hostname: string;
}

/** A certificate with its chain, leaf first, and its key; PEM, the key not encrypted. */
export interface ServerCertificate {
  certPem: string;
  keyPem: string;
}

/**
 * Makes a new key and certificate when there is none, less than a third of its life is left, its names differ from the
 * configuration, or it cannot be used. A crash between the two files leaves a pair that does not match, which the next call
 * replaces: call it before the files are read.
 *
 * @returns true when it made one, so that listeners have to load it
 * @throws AppError policy-refused when the fleet CA is about to end, unavailable when the store or the files cannot be used
 */
export async function renewServerCertificate(deps: ServerCertificateDeps): Promise<boolean> {
  const { certFile, keyFile } = filesOf(deps.config.stateFolder);
  const why = whyDue(await readIfThere(certFile), await readIfThere(keyFile), deps);
  if (why === undefined) return false;

  const key = await generateKey('ecdsa-p256');
  const approval = approveServer({ hostname: deps.hostname, publicKey: key.publicKey }, policyContext(deps));
  const { certificate } = only(await signApprovals(deps, [approval], { actor: 'server', source: '', changeId: '' }));

  // nodes that know only the pin of the fleet CA have to find it in the chain
  const chain = certificate.pem + deps.authorities.certificate('fleet').pem;
  await makeFolder(serverFolder(deps.config.stateFolder), { mode: 0o700 });
  await writeFileDurably(keyFile, key.pem, { mode: 0o600 });
  await writeFileDurably(certFile, chain, { mode: 0o644 });
  await recordEvent(deps.store, {
    kind: 'server.renewed',
    message: `the server has a new certificate, serial ${certificate.serial}, until ${certificate.notAfter.toISOString()}, because ${why}`,
  });
  return true;
}

/**
 * What listeners load.
 *
 * @throws AppError unavailable when a file is missing or cannot be read
 */
export async function readServerCertificate(stateFolder: string): Promise<ServerCertificate> {
  const { certFile, keyFile } = filesOf(stateFolder);
  const certPem = await readIfThere(certFile);
  const keyPem = await readIfThere(keyFile);
  if (certPem !== undefined && keyPem !== undefined) return { certPem, keyPem };
  throw new AppError('unavailable', `${certFile} or ${keyFile} is missing: restart kube-mtls-server, which makes them`);
}

/** Why a new one is due, or undefined while the old one serves. */
function whyDue(
  certPem: string | undefined,
  keyPem: string | undefined,
  deps: ServerCertificateDeps,
): string | undefined {
  if (certPem === undefined || keyPem === undefined) return 'there was none';
  const fleet = deps.authorities.certificate('fleet');
  const nowMs = deps.clock.nowMs();
  try {
    const [leaf, root] = parseCertificates(certPem);
    if (leaf === undefined || root?.sha256 !== fleet.sha256) return 'its chain did not hold the fleet CA';
    if (!keyMatches(loadKey(keyPem), leaf)) return 'the key was not the one of the certificate';
    const problem = chainsTo(leaf, [fleet], new Date(nowMs));
    if (problem !== undefined) return problem;
    const names = [...leaf.dnsNames, ...leaf.ipAddresses].sort().join(', ');
    if (names !== serverHosts(deps.hostname, deps.config).join(', ')) return `its names were ${names}`;
    return nowMs > lifeAtMs(leaf, 2 / 3) ? `it would end ${leaf.notAfter.toISOString()}` : undefined;
  } catch (error) {
    return `it could not be read: ${messageOf(error)}`;
  }
}

function filesOf(stateFolder: string): { certFile: string; keyFile: string } {
  const folder = serverFolder(stateFolder);
  return { certFile: join(folder, 'tls.crt'), keyFile: join(folder, 'tls.key') };
}
