/** Handshakes with a kubelet. It takes any client certificate in the handshake; who it believes shows in the answer. */

import { parseCertificate } from '../../common/x509/certificate.ts';
import type { DetectedKubelet } from '../detect/detected.ts';
import type { LiveDeps } from './check-handshake.ts';
import type { CheckOutcome } from './checks.ts';
import { readCredentials } from './credentials.ts';
import { kubeletEndpoints } from './endpoints.ts';
import { type Expectation, rootsOf, wantedServing } from './expectation.ts';
import { Findings } from './findings.ts';
import { describeOutcome, expectAnswer, get, sourceOf } from './handshake-probes.ts';
import { keepsSelfMade } from './self-made.ts';

/**
 * One attempt. The probe has no rights, so a kubelet that believes its certificate says 403 and names its user; one
 * with authorization AlwaysAllow says 200. What a kubelet that is only made to trust says to anonymous callers is as before
 * the change, and is told. One that believes it and cannot ask the API server what it may do says 500 and names its user too (kubernetes
 * pkg/kubelet/server/server.go, InstallAuthFilter): that says nothing of the kubelet.
 */
export async function kubeletHandshake(
  { probe, clock }: LiveDeps,
  expectation: Expectation<DetectedKubelet>,
  signal: AbortSignal,
): Promise<CheckOutcome> {
  const { detected, folder, target } = expectation;
  const findings = new Findings('handshake', clock);
  const rootsPem = rootsOf(expectation, 'kubernetes');
  const shown = wantedServing(expectation, 'serving');
  const selfMade = keepsSelfMade(expectation);
  const client = await readCredentials(folder, 'probe-client');
  const user = parseCertificate(client.certPem).commonName;
  for (const endpoint of kubeletEndpoints(detected)) {
    const ask = { endpoint, path: '/healthz', rootsPem, selfMade, signal };
    expectAnswer(findings, sourceOf(endpoint, 'probe-client'), await get(probe, { ...ask, client }), {
      shown,
      accept: (status, body) => status === 200 || (status === 403 && body.includes(user)),
      wanted: `403 that names ${user}`,
      askedInVain: (status, body) => status === 500 && body.startsWith(`Authorization error (user=${user}, `),
    });
    const source = sourceOf(endpoint, 'without certificate');
    const anonymous = await get(probe, ask);
    if (target === 'trusting') findings.note(source, describeOutcome(anonymous));
    else expectAnswer(findings, source, anonymous, { shown, accept: (status) => status === 401, wanted: '401' });
  }
  return findings.outcome(
    shown === undefined
      ? 'the kubelet shows its certificate from before and believes callers of the new CA'
      : 'the kubelet shows its new certificate and knows only callers with a certificate',
  );
}
