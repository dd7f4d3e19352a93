/**
 * The texts with which Go's crypto/tls, crypto/x509, os and net (1.15 to 1.24), etcd and client-go say what is wrong:
 * what stands after a component's own words. One row a text.
 */
import type { Cause } from './finding.ts';

/** What an error text means. */
export interface Meaning {
  cause: Cause;
  /**
   * What it is about: theirs, the certificate that the other side showed (or our CA file); ours, that the other side refused
   * what we showed; file, something of our own on this machine; connection, nothing about TLS.
   */
  whose: 'theirs' | 'ours' | 'file' | 'connection';
  /** For a person. */
  what: string;
  /** The file, where the text names one, else ''. */
  path: string;
}

type Row = readonly [pattern: RegExp, whose: Meaning['whose'], cause: Cause, what: string];

/** The group `path` of a pattern is a file. */
const ROWS: readonly Row[] = [
  // the other side's certificate
  [
    /x509: certificate has expired or is not yet valid: current time \S+ is before /,
    'theirs',
    'not-yet-valid',
    'its certificate is not valid yet',
  ],
  [/x509: certificate has expired or is not yet valid/, 'theirs', 'expired', 'its certificate has expired'],
  [
    /x509: certificate signed by unknown authority/,
    'theirs',
    'unknown-authority',
    'its certificate is signed by an authority that is not trusted here',
  ],
  [/x509: certificate is valid for .*, not /, 'theirs', 'wrong-name', 'its certificate is for other names'],
  [/x509: certificate is not valid for any names/, 'theirs', 'wrong-name', 'its certificate holds no DNS name'],
  [
    /x509: cannot validate certificate for \S+ because it doesn't contain any IP SANs/,
    'theirs',
    'wrong-name',
    'its certificate holds no IP address',
  ],
  [
    /x509: certificate relies on legacy Common Name field/,
    'theirs',
    'wrong-name',
    'its certificate has a common name only',
  ],
  [/tls: "[^"]*" does not match any of DNSNames/, 'theirs', 'wrong-name', 'its address is none of its certificate'],
  [
    /x509: a root or intermediate certificate is not authorized to sign for this name/,
    'theirs',
    'wrong-name',
    'its authority may not sign for this name',
  ],
  [
    /x509: certificate specifies an incompatible key usage/,
    'theirs',
    'wrong-usage',
    'its certificate is not for this usage',
  ],
  [
    /x509: a root or intermediate certificate is not authorized for an extended key usage/,
    'theirs',
    'wrong-usage',
    'its authority may not sign for this usage',
  ],
  [
    /x509: certificate is not authorized to sign other certificates/,
    'theirs',
    'wrong-usage',
    'its issuer is no authority',
  ],
  [
    /x509: too many intermediates for path length constraint/,
    'theirs',
    'wrong-usage',
    'its chain is longer than its authority allows',
  ],
  [
    /x509: subject with cn=.* is not in the allowed list/,
    'theirs',
    'untrusted-identity',
    'its common name is not among the allowed names',
  ],
  [
    /client certificate authentication failed/,
    'theirs',
    'untrusted-identity',
    'its name is not among the allowed names',
  ],
  [/transport: certificate serial [0-9a-f]+ revoked/, 'theirs', 'untrusted-identity', 'its certificate is revoked'],
  [
    /x509: (?:issuer name does not match|cannot (?:verify signature|parse )|unhandled critical extension|malformed|trailing data|negative serial number|invalid |SAN \w+ is malformed|certificate contains duplicate extension)/,
    'theirs',
    'malformed-file',
    'its certificate is malformed or disallowed',
  ],
  [
    /tls: client didn't provide a certificate/,
    'theirs',
    'no-client-certificate',
    'it showed no certificate, or none that the advertised authorities signed',
  ],
  [
    /remote error: tls: internal error/,
    'theirs',
    'missing-file',
    'it has no certificate to show yet, as a kubelet whose request is not approved',
  ],
  // the same as Go values (%#v)
  [
    /x509\.UnknownAuthorityError\{/,
    'theirs',
    'unknown-authority',
    'its certificate is signed by an authority that is not trusted here',
  ],
  [/x509\.HostnameError\{/, 'theirs', 'wrong-name', 'its certificate is for other names'],
  [
    /x509\.CertificateInvalidError\{.*Reason:1\b/,
    'theirs',
    'expired',
    'its certificate has expired or is not valid yet',
  ],
  // the other side refused ours
  [
    /remote error: tls: certificate required/,
    'ours',
    'no-client-certificate',
    'the other side demands a client certificate and got none',
  ],
  [
    /remote error: tls: expired certificate/,
    'ours',
    'refused-by-peer',
    'the other side says that the certificate shown to it has expired',
  ],
  [
    /remote error: tls: (?:unknown certificate authority|unknown certificate|bad certificate|unsupported certificate|revoked certificate|access denied|handshake failure)/,
    'ours',
    'refused-by-peer',
    'the other side refused the certificate shown to it',
  ],
  [
    /\bUnauthorized"?\)?$|You must be logged in to the server|the server has asked for the client to provide credentials/,
    'ours',
    'unauthorized',
    'the server took the connection and refused the client certificate',
  ],
  [/User "system:anonymous" cannot /, 'ours', 'no-client-certificate', 'the server saw no client certificate'],
  [
    // of its own objects it is told this while an API server starts, and of a pod's before the two have met
    /\b(?:nodes|leases[\w.]{0,40}|csinodes[\w.]{0,40}) "(?<node>[^"]*)" is forbidden: User "system:node:(?!\k<node>")[^"]*" cannot /,
    'ours',
    'untrusted-identity',
    'the client certificate names another node',
  ],
  // grpc-go 1.67 and later demands it of every server
  [
    /credentials: cannot check peer: missing selected ALPN property/,
    'theirs',
    'conflicting-setting',
    'it agrees on no protocol in its handshake (ALPN), which newer clients demand: update it',
  ],
  [
    /tls: failed to parse (?:certificate from server|client certificate)/,
    'theirs',
    'malformed-file',
    'its certificate is malformed or disallowed',
  ],
  // own files
  [/tls: private key (?:type )?does not match public key/, 'file', 'key-mismatch', 'key and certificate are no pair'],
  [
    /tls: failed to find .*PEM (?:data|block)|tls: found a certificate rather than a key|tls: failed to parse private key|does not contain any valid RSA or ECDSA certificates/,
    'file',
    'malformed-file',
    'a file holds no certificate or no key, or they are swapped',
  ],
  [/\b(?:open|stat|lstat|read) (?<path>\/\S+): no such file or directory/, 'file', 'missing-file', 'a file is missing'],
  [
    /\b(?:open|stat|lstat|read) (?<path>\/\S+): permission denied/,
    'file',
    'unreadable-file',
    'a file cannot be read by the user that the component runs as',
  ],
  [
    /\b(?:Client)?KeyFile and (?:Client)?CertFile (?:must both be present|are not presented)|^TLS key\/cert \(--(?:peer-)?cert-file, --(?:peer-)?key-file\) must be provided/,
    'file',
    'missing-file',
    'a listen url is https and the certificate or the key is not set',
  ],
  [/\bread (?<path>\/\S+): is a directory/, 'file', 'unreadable-file', 'a path is a folder where a file is wanted'],
  [
    /tls: server selected unsupported protocol version/,
    'file',
    'conflicting-setting',
    'the lowest TLS version set here is above what the server speaks',
  ],
  // a plaintext client
  [
    /tls: first record does not look like a TLS handshake|client sent an HTTP request to an HTTPS server/,
    'connection',
    'plaintext-client',
    'it speaks plaintext to a TLS port',
  ],
  // scanners, probes, restarts
  [/tls: client requested unsupported application protocols/, 'connection', 'noise', 'a client of another protocol'],
  [
    /tls: client offered only unsupported versions|tls: no cipher suite supported by both|tls: unsupported SSLv2 handshake/,
    'connection',
    'noise',
    'an old client or a scanner',
  ],
  [
    /remote error: tls: (?:protocol version not supported|no application protocol|unrecognized name)/,
    'connection',
    'noise',
    'an old client or a scanner',
  ],
  [
    /connect: connection refused|connection reset by peer|broken pipe|i\/o timeout|TLS handshake timeout|context deadline exceeded|context canceled|use of closed network connection|no route to host|transport is closing|\bEOF\b/,
    'connection',
    'noise',
    'the connection broke',
  ],
];

const OF_WEBHOOK: Meaning = { cause: 'noise', whose: 'connection', what: "somebody's webhook failed", path: '' };

/**
 * True for an error that the API server passes on of a webhook that it called for somebody: what stands behind it is said of the
 * webhook's server. What stands behind the first x509: may be a stranger's words.
 */
export function isOfWebhook(error: string): boolean {
  return /\b(?:failed calling webhook|conversion webhook for) /.test(error.split('x509:', 1)[0] ?? '');
}

/** What stands behind an unknown authority is free text of a certificate: nothing of it may be taken for words of Go's. */
const HINT =
  / \(possibly because of "(?:[^"\\]|\\.)*" while trying to verify candidate authority certificate "(?:[^"\\]|\\.)*"\)/g;

/** What a client asks for is free text too. */
const PROTOCOLS = /(?<=tls: client requested unsupported application protocols).*/s;

/**
 * The meaning of an error text, or undefined when it says nothing known. Of several reasons about the other side's
 * certificate the one after the last "failed:" counts: before it the request-header authenticator speaks. Else the first
 * one: what follows it may be a stranger's words.
 */
export function meaningOf(error: string): Meaning | undefined {
  if (isOfWebhook(error)) return OF_WEBHOOK;
  const text = error.replace(HINT, '').replace(PROTOCOLS, '');
  const failed = text.lastIndexOf('failed: ');
  const last = failed === -1 ? undefined : firstMeaning(text.slice(failed));
  return last?.whose === 'theirs' ? last : firstMeaning(text);
}

function firstMeaning(text: string): Meaning | undefined {
  let first: { at: number; meaning: Meaning } | undefined;
  for (const [pattern, whose, cause, what] of ROWS) {
    const match = pattern.exec(text);
    if (match === null || (first !== undefined && match.index >= first.at)) continue;
    first = { at: match.index, meaning: { cause, whose, what, path: match.groups?.path ?? '' } };
  }
  return first?.meaning;
}
