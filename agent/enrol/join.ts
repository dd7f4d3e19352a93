/** Makes this node a member of a fleet: pin, token, identity; then the daemon can start. */

import { AppError } from '../../common/errors/app-error.ts';
import { type Mode, roles } from '../../common/names/names.ts';
import { createClient } from '../../common/rpc/client.ts';
import { openConnection } from '../../common/rpc/connection.ts';
import type { Clock } from '../../common/time/clock.ts';
import { version } from '../../common/version.ts';
import { chainsTo, keyMatches, parseCertificate, parseCertificates } from '../../common/x509/certificate.ts';
import { createCsr } from '../../common/x509/csr.ts';
import { generateKey, type KeyAlgorithm, loadKey, type PrivateKey } from '../../common/x509/keys.ts';
import { EnrollmentService } from '../../proto/gen/kubemtls/v1/enrollment_pb.js';
import type { Layout } from '../layout.ts';
import { type Enrolment, saveEnrolment } from './enrolment.ts';
import { saveIdentity } from './identity.ts';
import { pendingKey, removePendingKey } from './pending-key.ts';
import { fetchPinnedRoots } from './pinned-roots.ts';

/** What the operator typed. */
export interface JoinOptions {
  /** HOST:PORT of the bootstrap listener. */
  server: string;
  /** ID.SECRET. */
  token: string;
  /** sha256:HEX. */
  caHash: string;
  nodeName: string;
  mode: Mode;
  keyAlgorithm: KeyAlgorithm;
}

/**
 * Enrols and records identity and enrolment. The key survives a failed attempt, so that the same token can be tried again.
 *
 * @throws AppError unauthenticated for a wrong pin (before the token is sent) or token, policy-refused, conflict, unavailable,
 *   invalid-request for what the operator typed, or for an answer that is no good here
 */
export async function joinFleet(deps: { layout: Layout; clock: Clock }, options: JoinOptions): Promise<Enrolment> {
  const { layout, clock } = deps;
  const { host, port } = parseEndpoint(options.server);
  const rootsPem = await fetchPinnedRoots({ host, port, pin: options.caHash }, clock.nowMs());
  const key = loadKey(await pendingKey(layout, async () => (await generateKey(options.keyAlgorithm)).pem));
  const connection = openConnection({ address: options.server, rootsPem });
  try {
    const enrolled = await createClient(EnrollmentService, connection).enrollNode(
      {
        nodeName: options.nodeName,
        csr: new TextEncoder().encode(createCsr(key, { commonName: options.nodeName })),
        agentVersion: version,
      },
      { headers: { authorization: `Bearer ${options.token}` } },
    );
    checkIdentity(enrolled.certificatePem, key, rootsPem, clock.nowMs());
    const role = roles.toWord(enrolled.role);
    if (role === undefined) throw new AppError('internal', 'the server gave this node no role; upgrade the agent');
    parseEndpoint(enrolled.fleetEndpoint); // before it is what the daemon starts with
    const enrolment: Enrolment = {
      bootstrapEndpoint: options.server,
      fleetEndpoint: enrolled.fleetEndpoint,
      pin: options.caHash.toLowerCase(),
      nodeName: options.nodeName,
      role,
      mode: options.mode,
    };
    await saveIdentity(layout, { keyPem: key.pem, certificatePem: enrolled.certificatePem, fleetRootsPem: rootsPem });
    await saveEnrolment(layout, enrolment);
    await removePendingKey(layout);
    return enrolment;
  } finally {
    connection.close();
  }
}

/** Splits HOST:PORT; IPv6 stands in brackets. Throws 'invalid-request'. */
export function parseEndpoint(endpoint: string): { host: string; port: number } {
  const match = /^(?:\[([0-9a-fA-F:]+)\]|([^:[\]]+)):([0-9]{1,5})$/.exec(endpoint);
  const host = match?.[1] ?? match?.[2];
  const port = Number(match?.[3]);
  if (host === undefined || port < 1 || port > 65_535) {
    throw new AppError(
      'invalid-request',
      `"${endpoint}" is not HOST:PORT, for example cp1.example:9443 or [fd00::1]:9443`,
    );
  }
  return { host, port };
}

function checkIdentity(certificatePem: string, key: PrivateKey, rootsPem: string, nowMs: number): void {
  const certificate = parseCertificate(certificatePem);
  if (!keyMatches(key, certificate)) throw new AppError('internal', 'the server signed another key than ours');
  const problem = chainsTo(certificate, parseCertificates(rootsPem), new Date(nowMs));
  if (problem !== undefined) {
    throw new AppError(
      'invalid-request',
      `the identity that the server issued is not good on this node: ${problem}; compare the clocks`,
    );
  }
}
