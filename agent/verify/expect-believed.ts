/** The proof that an API server knows a caller by its client certificate. */
import { z } from 'zod';
import { parseCertificate } from '../../common/x509/certificate.ts';
import type { Caller } from './caller.ts';
import type { Findings } from './findings.ts';
import { describeOutcome, expectAnswer, firstWords, get, isSilent, post } from './handshake-probes.ts';
import { parseJson } from './parse-json.ts';
import type { Probe } from './probe.ts';

const REVIEWS = '/apis/authentication.k8s.io/v1/selfsubjectreviews';
const review = z.object({ status: z.object({ userInfo: z.object({ username: z.string() }) }) });

/**
 * GET /apis is allowed to every authenticated caller and to no anonymous one. Then the server says whom it takes the caller
 * for: in a SelfSubjectReview (Kubernetes 1.28 and later), or in refusing one. Where it knows no such thing, /apis has to do.
 */
export async function expectBelieved(
  probe: Probe,
  findings: Findings,
  { path, url, server, rootsPem, client }: Caller,
  signal: AbortSignal,
): Promise<void> {
  const ask = { endpoint: server, rootsPem, client, signal };
  const source = `${path} to ${url}`;
  const apis = await get(probe, { ...ask, path: '/apis' });
  if (client === undefined) {
    // it has a token or the like, which we do not read: that its trust holds is all that can be seen
    expectAnswer(findings, source, apis, {
      shown: undefined,
      accept: () => true,
      wanted: 'an answer',
      elsewhere: true,
    });
    return;
  }
  expectAnswer(findings, source, apis, {
    shown: undefined,
    accept: (status) => status === 200,
    wanted: '200',
    elsewhere: true,
  });
  if (!findings.good) return;
  const user = parseCertificate(client.certPem).commonName;
  const question = { apiVersion: 'authentication.k8s.io/v1', kind: 'SelfSubjectReview' };
  const answer = await post(probe, { ...ask, path: REVIEWS }, question);
  const seen = describeOutcome(answer);
  if (isSilent(answer)) return findings.unanswered(source, `SelfSubjectReview ${seen}`);
  if (answer.kind !== 'answered') return findings.fail(source, `SelfSubjectReview ${seen}`);
  switch (answer.status) {
    case 200:
    case 201: {
      const known = review.safeParse(parseJson(answer.body)).data?.status.userInfo.username;
      findings.expect(
        known === user,
        source,
        `${seen}: the API server takes it for ${known ?? 'nobody'}, it is ${user}`,
      );
      return;
    }
    case 403:
      // an older server refuses, by name, what no role allows yet
      findings.expect(
        answer.body.replaceAll('\\"', '"').includes(`User "${user}"`),
        source,
        `${seen} "${firstWords(answer.body)}", which has to name ${user}`,
      );
      return;
    case 404:
      findings.note(source, `${seen}: it has no SelfSubjectReview, so that /apis has to do`);
      return;
    default:
      findings.fail(source, `SelfSubjectReview ${seen} "${firstWords(answer.body)}"`);
  }
}
