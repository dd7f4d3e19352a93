/** Asking a cluster whose answers a test makes up, for tests of the cluster check. */
import type { TestContext } from 'node:test';
import { FakeClock } from '../../common/time/fake-clock.ts';
import type { Detected } from '../detect/detected.ts';
import { checkCluster } from './check-cluster.ts';
import type { Expectation } from './expectation.ts';
import { noPatience } from './no-patience-for-tests.ts';
import { folderOf, type TestAuthority, type TestLeaf, testAuthority } from './pki-for-tests.ts';
import type { Probe, ProbeOutcome } from './probe.ts';

const signal = new AbortController().signal;

/** Answers of a server by "host path"; whatever is not in it is unreachable. */
export type Answers = Record<string, ProbeOutcome>;

/** An answer over TLS. */
export function answered(status: number, body: unknown): ProbeOutcome {
  const text = typeof body === 'string' ? body : JSON.stringify(body);
  const served = { serial: '1', sha256: '', notAfterMs: 0, issuer: 'CN=kubernetes', tlsVersion: 'TLSv1.3' };
  return { kind: 'answered', status, body: text, served };
}

/** Gives the answers, and notes who asked for what. */
export function fakeProbe(answers: Answers): { probe: Probe; asked: string[] } {
  const asked: string[] = [];
  const probe: Probe = async ({ host, path, tls }) => {
    asked.push(`${host} ${path} ${tls?.client === undefined ? 'anonymous' : 'with certificate'}`);
    return answers[`${host} ${path}`] ?? { kind: 'unreachable', detail: 'connect ECONNREFUSED' };
  };
  return { probe, asked };
}

/** An authority with one client certificate, and the check of a component that is expected to have it. */
export async function clusterChecks() {
  const authority: TestAuthority = await testAuthority('kubernetes');
  const client: TestLeaf = await authority.issue({ usages: ['client'] });

  async function expectation(test: TestContext, detected: Detected): Promise<Expectation> {
    return {
      detected,
      folder: await folderOf(test, { 'probe-client': client, client, 'healthcheck-client': client }),
      serials: new Map([['client', client.serial]]),
      target: 'enforced',
      live: false,
      rootsPem: new Map([
        ['kubernetes', authority.rootsPem],
        ['etcd', authority.rootsPem],
      ]),
    };
  }

  async function check(
    test: TestContext,
    detected: Detected,
    answers: Answers,
    startedAtMs = 0,
    change: Partial<Expectation> = {},
  ) {
    const { probe, asked } = fakeProbe(answers);
    const expected = { ...(await expectation(test, detected)), ...change };
    const deps = { clock: new FakeClock(), probe };
    const outcome = await checkCluster(deps, expected, startedAtMs, noPatience, signal);
    return { outcome, asked, lines: outcome.evidence.map(({ source, line }) => `${source}: ${line}`).join('\n') };
  }

  return { authority, client, expectation, check };
}
