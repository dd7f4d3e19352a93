/** The form of a row in the tables of message formats: which line it is about and what such a line means. */
import type { Component } from '../../common/names/names.ts';
import type { Cause, Fault, Sign } from './finding.ts';

/** Which lines. */
interface Matcher {
  /** Matches the message without its frame, from its start. A first group is a path. */
  message: RegExp;
  /** Matches the field name, certName or tls-info of a structured line, when it has to. */
  detail?: RegExp;
}

/** A line that proves something. */
interface SuccessFormat extends Matcher {
  is: 'success';
  sign: Sign;
}

/** A line that sounds like trouble and is none. */
interface NoiseFormat extends Matcher {
  is: 'noise';
}

/** A line that always means the same. */
interface FailureFormat extends Matcher {
  is: 'failure';
  cause: Exclude<Cause, 'noise'>;
  fault: Fault;
  /** What is wrong, for a person. */
  what: string;
  fatal?: boolean;
  side?: 'server' | 'client';
  about?: Component;
  curedBy?: Sign;
  transient?: boolean;
  /** What it proves nevertheless. */
  sign?: Sign;
}

/** A line whose error text decides. */
interface ErrorFormat extends Matcher {
  is: 'error';
  /**
   * Who speaks: the server of a connection, its client, or 'own' for what can only be the component's own fault: its files,
   * and connections to itself.
   */
  as: 'server' | 'client' | 'own';
  /** What the other side is. */
  about?: Component;
  fatal?: boolean;
  curedBy?: Sign;
  /** The cause when the error text says nothing known, and for a fatal line when it speaks of the connection; default: no finding. */
  otherwise?: Exclude<Cause, 'noise'>;
}

/** A row. */
export type Format = SuccessFormat | NoiseFormat | FailureFormat | ErrorFormat;

/** Rows that hold for every program built on Kubernetes' component-base that serves over TLS. */
export const DYNAMIC_CERTIFICATES: readonly Format[] = [
  { message: /^Serving securely on /, is: 'success', sign: 'serving' },
  { message: /^Starting DynamicServingCertificateController/, is: 'success', sign: 'loaded' },
  {
    message:
      /^Starting (?:serving-cert|client-ca-bundle|request-header|aggregator-proxy-cert|kubelet-server-cert-files)::/,
    is: 'success',
    sign: 'loaded',
  },
  {
    message: /^Starting controller$/,
    detail: /^(?:serving-cert|client-ca-bundle|request-header|aggregator-proxy-cert|kubelet-server-cert-files)::/,
    is: 'success',
    sign: 'loaded',
  },
  { message: /^loaded (?:a new cert\/key pair|serving cert)\b/i, is: 'success', sign: 'pair' },
  { message: /^loaded (?:a new CA Bundle and Verifier|client CA)\b/i, is: 'success', sign: 'bundle' },
  { message: /^loaded SNI cert\b/i, is: 'success', sign: 'loaded' },
  // between the two steps of a swap a pair may fail once: what is loaded later shows that it is over
  {
    message: /^key failed with : (?:error loading|missing content for) CA bundle/,
    is: 'error',
    as: 'own',
    curedBy: 'bundle',
    otherwise: 'malformed-file',
  },
  { message: /^key failed with : /, is: 'error', as: 'own', curedBy: 'pair', otherwise: 'malformed-file' },
  { message: /^Initial population of .* failed/, is: 'error', as: 'own', otherwise: 'malformed-file' },
  {
    message: /^(?:missing content for CA bundle|error loading CA bundle for|unable to load client CA file)\b/,
    is: 'error',
    as: 'own',
    curedBy: 'bundle',
    otherwise: 'malformed-file',
  },
  {
    message:
      /^(?:missing content for serving cert|not loading an empty serving certificate from|invalid serving cert keypair|failed to load key pair while getting backends)\b/,
    is: 'error',
    as: 'own',
    curedBy: 'pair',
    otherwise: 'malformed-file',
  },
  {
    message: /^(?:Failed to watch (?:cert and key|CA) file|Failed to remove file watch)/,
    is: 'noise',
  },
  { message: /^Use of insecure cipher /, is: 'noise' },
  { message: /^transport: loopyWriter\.run returning/, is: 'noise' },
  {
    message: /^http: TLS handshake error from \S+: no serving certificate available/,
    is: 'failure',
    cause: 'missing-file',
    fault: 'own',
    what: 'it has no serving certificate yet: its request was not approved',
    side: 'server',
  },
  { message: /^http: TLS handshake error from /, is: 'error', as: 'server' },
  { message: /^Unable to authenticate the request/, is: 'error', as: 'server' },
  { message: /^command failed$/, is: 'error', as: 'client', fatal: true, otherwise: 'start-failed' },
  { message: /^Error: /, is: 'error', as: 'client', fatal: true, otherwise: 'start-failed' },
];
