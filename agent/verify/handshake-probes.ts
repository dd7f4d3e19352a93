/** The few kinds of probes that all handshake checks are made of, and what each has to find. */
import { type Endpoint, hostPort } from './endpoints.ts';
import type { WantedServing } from './expectation.ts';
import type { Findings } from './findings.ts';
import { TAKE_UP_MS } from './patience.ts';
import type { ClientCredentials, Probe, ProbeOutcome, ProbeTls } from './probe.ts';
import type { Served } from './server-trust.ts';

/** Limit of one probe, in milliseconds. */
export const PROBE_MS = 5000;

/** One probe of a check. */
export interface HandshakeProbe {
  endpoint: Endpoint;
  path: string;
  /** Roots to verify the server with; absent for plaintext. */
  rootsPem: string | undefined;
  /** True for a certificate of the component's own making, which chains to nothing. */
  selfMade?: boolean;
  client?: ClientCredentials | undefined;
  signal: AbortSignal;
}

/** Sends a GET. */
export function get(probe: Probe, { endpoint, path, signal, ...how }: HandshakeProbe): Promise<ProbeOutcome> {
  const { host, port } = endpoint;
  return probe({ host, port, tls: tlsOf(endpoint, how), method: 'GET', path, timeoutMs: PROBE_MS, signal });
}

/** Sends a POST with a JSON body. */
export function post(probe: Probe, { endpoint, path, signal, ...how }: HandshakeProbe, body: object) {
  const { host, port } = endpoint;
  const request = { host, port, tls: tlsOf(endpoint, how), method: 'POST', path, body: JSON.stringify(body) } as const;
  return probe({ ...request, timeoutMs: PROBE_MS, signal });
}

function tlsOf(
  { name }: Endpoint,
  { rootsPem, selfMade, client }: Pick<HandshakeProbe, 'rootsPem' | 'selfMade' | 'client'>,
): ProbeTls | undefined {
  if (rootsPem === undefined) return undefined;
  return { trust: selfMade ? { kind: 'unverified' } : { kind: 'roots', pem: rootsPem, name }, client };
}

/** The caller has to be answered, by the certificate that is wanted, in a way that `accept` takes. */
export function expectAnswer(
  findings: Findings,
  source: string,
  outcome: ProbeOutcome,
  want: {
    shown: WantedServing | undefined;
    accept(status: number, body: string): boolean;
    wanted: string;
    /** True where the server is not the component that is verified, so that its silence says nothing of it. */
    elsewhere?: boolean;
    /** True for an answer that says that the server had to ask another one in vain, whose silence says nothing of it either. */
    askedInVain?(status: number, body: string): boolean;
  },
): void {
  const seen = describeOutcome(outcome);
  if (want.elsewhere === true && isSilent(outcome)) findings.unanswered(source, `${seen}, instead of ${want.wanted}`);
  else if (outcome.kind === 'answered' && isShown(outcome, want) && want.askedInVain?.(outcome.status, outcome.body))
    findings.unanswered(source, `${seen} "${firstWords(outcome.body)}", instead of ${want.wanted}`);
  else if (outcome.kind !== 'answered') findings.fail(source, `${seen}, instead of ${want.wanted}`);
  else if (!want.accept(outcome.status, outcome.body)) {
    findings.fail(source, `${seen} "${firstWords(outcome.body)}", instead of ${want.wanted}`);
  } else if (want.shown !== undefined && !isShown(outcome, want)) {
    findings.fail(source, `${seen}, ${insteadOf(want.shown, outcome.served)}`);
  } else findings.note(source, seen);
}

function isShown(
  { served }: ProbeOutcome & { kind: 'answered' },
  { shown }: { shown: WantedServing | undefined },
): boolean {
  return shown === undefined || served?.serial === shown.serial;
}

function insteadOf({ serial, live }: WantedServing, served: Served | undefined): string {
  if (!live || served === undefined) return `instead of the new certificate with serial ${serial}`;
  const late = `it did not take up the new files within ${TAKE_UP_MS / 1000} s`;
  return `still shows serial ${served.serial} from before; ${late}, which have serial ${serial}`;
}

/**
 * True when a server said nothing of its caller: it is not there, ends connections before it shows a certificate, as a load balancer without
 * servers does, or has no answer itself, as an API server without etcd.
 */
export function isSilent(outcome: ProbeOutcome): boolean {
  if (outcome.kind === 'answered') return outcome.status >= 500 || outcome.status === 429;
  return (
    outcome.kind === 'unreachable' ||
    (outcome.kind === 'refused' && outcome.by === 'reset' && outcome.served === undefined)
  );
}

/** The caller has to be turned away in the handshake. Silence or a closed port proves nothing, so it fails. */
export function expectRefusal(findings: Findings, source: string, outcome: ProbeOutcome): void {
  const refused = outcome.kind === 'refused' && (outcome.by === 'tls-alert' || outcome.by === 'reset');
  findings.expect(refused, source, `${describeOutcome(outcome)}${refused ? '' : ', instead of a refusal in TLS'}`);
}

/** One line for a person. */
export function describeOutcome(outcome: ProbeOutcome): string {
  switch (outcome.kind) {
    case 'answered': {
      const by = outcome.served === undefined ? 'plaintext' : describeServed(outcome.served);
      return `answered ${outcome.status} over ${by}`;
    }
    case 'refused': {
      const by = outcome.served === undefined ? '' : ` after ${describeServed(outcome.served)}`;
      return `refused by ${outcome.by} (${outcome.detail})${by}`;
    }
    case 'untrusted':
      return `not trusted: ${outcome.cause} (${outcome.detail}), ${describeServed(outcome.served)}`;
    case 'unreachable':
      return `unreachable: ${outcome.detail}`;
  }
}

/** "handshake 127.0.0.1:6443 as 10.0.0.1, without certificate". */
export function sourceOf(endpoint: Endpoint, how: string): string {
  const name = endpoint.name === endpoint.host ? '' : ` as ${endpoint.name}`;
  return `handshake ${hostPort(endpoint)}${name}, ${how}`;
}

/** The beginning of a body, on one line, for evidence. */
export function firstWords(body: string): string {
  return body.replace(/\s+/g, ' ').trim().slice(0, 300);
}

function describeServed(served: Served): string {
  return `${served.tlsVersion} with serial ${served.serial} of ${served.issuer}`;
}
