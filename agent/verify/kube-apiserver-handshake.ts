/** Handshakes with an API server. It takes any client certificate in the handshake; who it believes shows in the answer. */
import type { DetectedApiserver } from '../detect/detected.ts';
import type { LiveDeps } from './check-handshake.ts';
import type { CheckOutcome } from './checks.ts';
import { makeStranger, readCredentials } from './credentials.ts';
import { apiserverEndpoints } from './endpoints.ts';
import { type Expectation, rootsOf, wantedServing } from './expectation.ts';
import { Findings } from './findings.ts';
import { expectAnswer, get, sourceOf } from './handshake-probes.ts';
import { keepsSelfMade } from './self-made.ts';

/**
 * One attempt. GET /apis is allowed to every authenticated caller (ClusterRole system:discovery), and not to anonymous
 * ones since Kubernetes 1.14. The probe's certificate is of the newest CA: an API server that believes it trusts that one.
 */
export async function apiserverHandshake(
  { probe, clock }: LiveDeps,
  expectation: Expectation<DetectedApiserver>,
  signal: AbortSignal,
): Promise<CheckOutcome> {
  const { detected, folder } = expectation;
  const findings = new Findings('handshake', clock);
  const rootsPem = rootsOf(expectation, 'kubernetes');
  const shown = wantedServing(expectation, 'serving');
  const selfMade = keepsSelfMade(expectation);
  const client = await readCredentials(folder, 'probe-client');
  const stranger = await makeStranger(rootsPem, clock.nowMs());
  for (const endpoint of apiserverEndpoints(detected)) {
    const ask = { endpoint, path: '/apis', rootsPem, selfMade, signal };
    expectAnswer(findings, sourceOf(endpoint, 'probe-client'), await get(probe, { ...ask, client }), {
      shown,
      accept: (status) => status === 200,
      wanted: '200',
    });
    expectAnswer(findings, sourceOf(endpoint, 'without certificate'), await get(probe, ask), {
      shown,
      accept: (status) => status === 401 || status === 403,
      wanted: '401 or 403',
    });
    if (!findings.good) continue; // the API server logs every stranger, so only when all else is well
    const strangerAnswer = await get(probe, { ...ask, client: stranger });
    expectAnswer(findings, sourceOf(endpoint, 'certificate of another CA'), strangerAnswer, {
      shown,
      accept: (status) => status === 401,
      wanted: '401',
    });
  }
  const what = shown === undefined ? 'its certificate from before' : 'its new certificate';
  return findings.outcome(`the API server shows ${what} and knows only callers of the cluster CA`);
}
