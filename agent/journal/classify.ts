/** What a journal line says about TLS: what is wrong, whose it is, and what to do next. */

import type { Component } from '../../common/names/names.ts';
import { APISERVER_FORMATS } from './apiserver-formats.ts';
import { ETCD_FORMATS } from './etcd-formats.ts';
import type { Cause, Fault, Finding } from './finding.ts';
import type { Format } from './formats.ts';
import { hostOf } from './host-port.ts';
import type { JournalEntry } from './journal-entry.ts';
import { KUBELET_FORMATS } from './kubelet-formats.ts';
import { MANAGER_FORMATS } from './manager-formats.ts';
import { type ParsedLine, parseLine } from './parse-line.ts';
import { PROXY_FORMATS } from './proxy-formats.ts';
import { SYSTEMD_FORMATS } from './systemd-formats.ts';
import { type Meaning, meaningOf } from './vocabulary.ts';

const FORMATS: Record<Component, readonly Format[]> = {
  etcd: ETCD_FORMATS,
  'kube-apiserver': APISERVER_FORMATS,
  kubelet: KUBELET_FORMATS,
  'kube-controller-manager': MANAGER_FORMATS,
  'kube-scheduler': MANAGER_FORMATS,
  'kube-proxy': PROXY_FORMATS,
  admin: [], // files that people use write nothing
};

/** What to do about it. */
const NEXT: Record<Exclude<Cause, 'noise'>, string> = {
  'unknown-authority':
    'compare the issuer of the certificate with the file of trusted authorities: one of the two is wrong',
  expired: 'renew the certificate and check the clocks of both machines',
  'not-yet-valid': 'check the clocks of both machines',
  'wrong-name': 'issue the certificate for the name or address that is called',
  'wrong-usage': 'issue the certificate for this usage: servers need serverAuth, clients clientAuth, etcd members both',
  'key-mismatch': 'put key and certificate of the same request in place together',
  'unreadable-file': 'make the file readable for the user that the component runs as',
  'missing-file': 'check the path in the flags and that the file exists',
  'malformed-file': 'check that the file holds PEM of the right kind',
  'no-client-certificate': 'give the client a certificate that the advertised authorities signed',
  'refused-by-peer': 'check that the other side trusts the authority of the certificate, its names, usage and dates',
  unauthorized: 'check that the server trusts the authority of the client certificate, and that it has not expired',
  'plaintext-client': 'make the client use https',
  'insecure-listener': 'set an https url and client-cert-auth',
  'conflicting-setting': 'make the settings agree',
  'untrusted-identity': 'check the names in the client certificate',
  'start-failed': 'read the lines before it',
};

/**
 * What an entry says, or undefined when it says nothing about TLS. Lines are known by their whole form, never by a word
 * somewhere in them: much of a journal is text that strangers choose. The severity is not looked at: it cannot be trusted.
 *
 * @param component - who wrote the journal
 */
export function classify(
  component: Component,
  entry: Pick<JournalEntry, 'message' | 'fromSystemd'>,
): Finding | undefined {
  const line = parseLine(entry);
  // a child of systemd speaks for the unit before it becomes the component
  const ofSystemd = line.format === 'systemd' || /^\S+\.service: Failed at step /.test(line.message);
  for (const format of ofSystemd ? SYSTEMD_FORMATS : FORMATS[component]) {
    const match = format.message.exec(line.message);
    if (match === null || (format.detail !== undefined && !format.detail.test(line.detail))) continue;
    return read(format, line, match[1] ?? '');
  }
  return undefined;
}

function read(format: Format, line: ParsedLine, path: string): Finding | undefined {
  const blank: Finding = {
    cause: 'noise',
    fault: 'none',
    role: 'noise',
    fatal: false,
    remote: line.remote || line.host,
    path: '',
    explanation: '',
    side: '',
    about: '',
    sign: '',
    curedBy: '',
    transient: false,
  };
  switch (format.is) {
    case 'success':
      return { ...blank, role: 'success', sign: format.sign };
    case 'noise':
      return blank;
    case 'failure':
      return explained(format.what, {
        ...blank,
        role: 'failure',
        cause: format.cause,
        fault: format.fault,
        fatal: format.fatal ?? false,
        path,
        side: format.side ?? '',
        about: format.about ?? '',
        sign: format.sign ?? '',
        curedBy: format.curedBy ?? '',
        transient: format.transient ?? false,
      });
    case 'error':
      return byError(format, line, blank);
  }
}

/** A line whose error text decides. */
function byError(format: Extract<Format, { is: 'error' }>, line: ParsedLine, blank: Finding): Finding | undefined {
  const meaning = meaningOf(line.error);
  const known = {
    ...blank,
    side: format.as === 'own' ? ('' as const) : format.as,
    about: format.about ?? ('' as const),
    path: meaning?.path || pathOf(line.error),
  };
  // a server can be told that its certificate is refused, and nothing else of what clients are told
  if (format.as === 'server' && meaning?.whose === 'ours' && meaning.cause !== 'refused-by-peer') return undefined;
  // a handshake that fails by a file of ours names its caller; without one it is a token that was refused, in its own words
  if (format.as === 'server' && meaning?.whose === 'file' && known.remote === '') return undefined;
  if (meaning !== undefined && meaning.whose !== 'connection') {
    return explained(meaning.what, {
      ...known,
      role: 'failure',
      cause: meaning.cause,
      fault: faultOf(format.as, meaning),
      fatal: format.fatal ?? false,
      side: meaning.whose === 'file' ? '' : known.side,
      curedBy: format.curedBy ?? '',
    });
  }
  if (format.otherwise !== undefined && (meaning === undefined || format.fatal)) {
    return explained('it could not go on', {
      ...known,
      role: 'failure',
      cause: format.otherwise,
      fault: 'own',
      fatal: format.fatal ?? false,
      side: '',
      curedBy: format.curedBy ?? '',
    });
  }
  if (meaning === undefined) return undefined;
  return meaning.cause === 'plaintext-client' ? { ...known, cause: meaning.cause, fault: 'peer-client' } : known;
}

/** The direction rule: a certificate that was shown is the other side's fault, a refusal of ours is ours, a file is ours. */
function faultOf(as: 'server' | 'client' | 'own', meaning: Meaning): Fault {
  if (as === 'own' || meaning.whose !== 'theirs') return 'own';
  return as === 'server' ? 'peer-client' : 'peer-server';
}

/** The path in a name like client-ca-bundle::PATH, or after "at". */
function pathOf(error: string): string {
  return /::(\/[^\s":]+)/.exec(error)?.[1] ?? '';
}

function explained(what: string, finding: Finding): Finding {
  if (finding.cause === 'noise') return finding;
  // a client's port is another one each time and tells nobody anything
  const remote = finding.side === 'server' ? hostOf(finding.remote) : finding.remote;
  const named = remote === '' ? '' : ` ${remote}`;
  const subject = {
    own: `the component itself${finding.side === '' ? '' : ` towards${named || ' the other side'}`}`,
    'peer-client': `the client${named}`,
    'peer-server': `the server${named}`,
    none: 'nobody',
  }[finding.fault];
  const file = finding.path === '' ? '' : ` (${finding.path})`;
  return { ...finding, explanation: `${subject}: ${what}${file}; ${NEXT[finding.cause]}` };
}
