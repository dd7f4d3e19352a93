/** What a journal line was understood to say. */
import type { Component } from '../../common/names/names.ts';

/** What is wrong; 'noise' for lines that say nothing is. */
export type Cause =
  | 'unknown-authority'
  | 'expired'
  | 'not-yet-valid'
  | 'wrong-name'
  | 'wrong-usage'
  | 'key-mismatch'
  | 'unreadable-file'
  | 'missing-file'
  | 'malformed-file'
  | 'no-client-certificate'
  | 'refused-by-peer'
  | 'unauthorized'
  | 'plaintext-client'
  | 'insecure-listener'
  | 'conflicting-setting'
  | 'untrusted-identity'
  | 'start-failed'
  | 'noise';

/** Whose certificate, file or setting is wrong, seen from the component that wrote the line. */
export type Fault = 'own' | 'peer-client' | 'peer-server' | 'none';

/**
 * What a success line proves. serving: it listens, over TLS where it can; insecure: it listens in plaintext; mutual-tls: it
 * demands client certificates; loaded: it read its settings; pair: it took a certificate with its key; bundle: it took a file
 * of trusted authorities; identity: a server accepted its client certificate; working: it has begun with what it is there for, for those that serve
 * nobody (a proxy) or wait for their turn (a manager in reserve); peer: a connection with another etcd member stands.
 */
export type Sign =
  | 'serving'
  | 'insecure'
  | 'mutual-tls'
  | 'loaded'
  | 'pair'
  | 'bundle'
  | 'identity'
  | 'working'
  | 'peer';

/** What one line says about TLS. */
export interface Finding {
  /** 'noise' for success and noise lines. */
  cause: Cause;
  fault: Fault;
  role: 'failure' | 'success' | 'noise';
  /** True when the component ends, or has ended, because of it. */
  fatal: boolean;
  /** The other side as the line names it, "host:port" or a host, or ''. */
  remote: string;
  /** The file at fault, or ''. */
  path: string;
  /** What is wrong, whose, and what to do next; '' for success and noise lines. */
  explanation: string;
  /** Which side of the connection wrote the line; '' where the line is about no connection. */
  side: 'server' | 'client' | '';
  /** Which component the other side is, or '' when the line does not tell or there is none. */
  about: Component | '';
  /** What the line proves: for success lines, and for an etcd that serves in plaintext; '' for others. */
  sign: Sign | '';
  /** The sign that, later on, shows that a failure is over; '' when only its absence does. */
  curedBy: Sign | '';
  /** True for what a restart of the other side causes too: it counts only where the sign of success is missing. */
  transient: boolean;
}
