/** Handshakes with a kubelet. It takes any client certificate in the handshake; who it believes shows in the answer. */

import { parseCertificate } from '../../common/x509/certificate.ts';
import type { DetectedKubelet } from '../detect/detected.ts';
import type { LiveDeps } from './check-handshake.ts';
import type { CheckOutcome } from './checks.ts';
import { readCredentials } from './credentials.ts';
import { kubeletEndpoints } from './endpoints.ts';
import { type Expectation, rootsOf, serialOf } from './expectation.ts';
import { Findings } from './findings.ts';
import { expectAnswer, get, sourceOf } from './handshake-probes.ts';

/**
 * One attempt. The probe has no rights, so a kubelet that believes its certificate says 403 and names its user; one
 * with authorization AlwaysAllow says 200.
 */
export async function kubeletHandshake(
  { probe, clock }: LiveDeps,
  expectation: Expectation<DetectedKubelet>,
  signal: AbortSignal,
): Promise<CheckOutcome> {
  const findings = new Findings('handshake', clock);
  const rootsPem = rootsOf(expectation, 'kubernetes');
  const serial = serialOf(expectation, 'serving');
  const client = await readCredentials(expectation.folder, 'probe-client');
  const user = parseCertificate(client.certPem).commonName;
  for (const endpoint of kubeletEndpoints(expectation.detected)) {
    const ask = { endpoint, path: '/healthz', rootsPem, signal };
    expectAnswer(findings, sourceOf(endpoint, 'probe-client'), await get(probe, { ...ask, client }), {
      serial,
      accept: (status, body) => status === 200 || (status === 403 && body.includes(user)),
      wanted: `403 that names ${user}`,
    });
    expectAnswer(findings, sourceOf(endpoint, 'without certificate'), await get(probe, ask), {
      serial,
      accept: (status) => status === 401,
      wanted: '401',
    });
  }
  return findings.outcome('the kubelet shows its new certificate and knows only callers with a certificate');
}
