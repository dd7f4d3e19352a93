/**
 * Handshakes with a controller manager or a scheduler. It takes any client certificate in the handshake; who it believes
 * shows in the answer.
 */
import { parseCertificate } from '../../common/x509/certificate.ts';
import type { DetectedManager } from '../detect/detected.ts';
import type { LiveDeps } from './check-handshake.ts';
import type { CheckOutcome } from './checks.ts';
import { makeStranger, readCredentials } from './credentials.ts';
import { managerEndpoints } from './endpoints.ts';
import { type Expectation, rootsOf, wantedServing } from './expectation.ts';
import { Findings } from './findings.ts';
import { expectAnswer, get, sourceOf } from './handshake-probes.ts';
import { keepsSelfMade } from './self-made.ts';

/**
 * One attempt. The probe may not read /metrics, so a manager that believes its certificate says 403 and names its user; one
 * that lets it read says 200. /healthz is open to everybody (--authorization-always-allow-paths).
 */
export async function managerHandshake(
  { probe, clock }: LiveDeps,
  expectation: Expectation<DetectedManager>,
  signal: AbortSignal,
): Promise<CheckOutcome> {
  const { detected, folder } = expectation;
  const findings = new Findings('handshake', clock);
  const endpoints = managerEndpoints(detected);
  if (endpoints.length === 0) return findings.skipped(`${detected.component} serves nothing (--secure-port=0)`);
  const rootsPem = rootsOf(expectation, 'kubernetes');
  const shown = wantedServing(expectation, 'serving');
  const selfMade = keepsSelfMade(expectation);
  const client = await readCredentials(folder, 'probe-client');
  const user = parseCertificate(client.certPem).commonName;
  const stranger = await makeStranger(rootsPem, clock.nowMs());
  for (const endpoint of endpoints) {
    const ask = { endpoint, path: '/metrics', rootsPem, selfMade, signal };
    expectAnswer(findings, sourceOf(endpoint, 'probe-client'), await get(probe, { ...ask, client }), {
      shown,
      accept: (status, body) => status === 200 || (status === 403 && body.includes(user)),
      wanted: `403 that names ${user}`,
    });
    expectAnswer(findings, sourceOf(endpoint, 'without certificate'), await get(probe, ask), {
      shown,
      accept: (status, body) => status === 401 || (status === 403 && body.includes('system:anonymous')),
      wanted: '401, or 403 that names system:anonymous',
    });
    const health = await get(probe, { ...ask, path: '/healthz', client });
    expectAnswer(findings, sourceOf(endpoint, '/healthz'), health, {
      shown,
      accept: (status) => status === 200,
      wanted: '200',
    });
    if (!findings.good) continue; // it logs every stranger, so only when all else is well
    expectAnswer(
      findings,
      sourceOf(endpoint, 'certificate of another CA'),
      await get(probe, { ...ask, client: stranger }),
      { shown, accept: (status) => status === 401, wanted: '401' },
    );
  }
  const what = shown === undefined ? 'its certificate from before' : 'its new certificate';
  return findings.outcome(`${detected.component} shows ${what} and knows only callers of the cluster CA`);
}
