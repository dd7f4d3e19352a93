/** What etcd writes: 3.4's text, and the JSON of 3.4 to 3.6 by its msg. */
import type { Format } from './formats.ts';

/** First match counts. */
export const ETCD_FORMATS: readonly Format[] = [
  // own settings and start
  { message: /^ClientTLS: .*client-cert-auth = true/, is: 'success', sign: 'mutual-tls' },
  { message: /^starting with client TLS/, detail: /client-cert-auth = true/, is: 'success', sign: 'mutual-tls' },
  {
    message: /^ClientTLS: .*client-cert-auth = false/,
    is: 'failure',
    cause: 'insecure-listener',
    fault: 'own',
    what: 'clients need no certificate (client-cert-auth is off)',
  },
  {
    message: /^starting with client TLS/,
    detail: /client-cert-auth = false/,
    is: 'failure',
    cause: 'insecure-listener',
    fault: 'own',
    what: 'clients need no certificate (client-cert-auth is off)',
  },
  {
    message: /^(?:peerTLS: |starting with (?:peer|client) TLS|recognized and used environment variable)/,
    is: 'success',
    sign: 'loaded',
  },
  { message: /^(?:serving client requests on |serving client traffic securely)/, is: 'success', sign: 'serving' },
  {
    message:
      /^(?:listening for peers on |serving peer traffic|ready to serve client requests|serving metrics|published (?:\{|local member))/,
    is: 'success',
    sign: 'loaded',
  },
  {
    message: /^serving (?:insecure client requests|client traffic insecurely)/,
    is: 'failure',
    cause: 'insecure-listener',
    fault: 'own',
    what: 'it serves clients in plaintext: one of the listen-client-urls is http',
    sign: 'insecure',
  },
  {
    message: /^The scheme of (?:peer|client) url .* is HTTP while /i,
    is: 'failure',
    cause: 'conflicting-setting',
    fault: 'own',
    what: 'a listen url is http, so certificates and client authentication are ignored for it',
  },
  {
    message: /^scheme is HTTP (?:or unix )?while /i,
    is: 'failure',
    cause: 'conflicting-setting',
    fault: 'own',
    what: 'a listen url is http, so certificates and client authentication are ignored for it',
  },
  {
    message: /^conflicting environment variable\b/,
    is: 'failure',
    cause: 'conflicting-setting',
    fault: 'own',
    what: 'a setting is given both as a flag and as an ETCD_ variable',
    fatal: true,
  },
  {
    message: /^(?:automatically generate certificates|created (?:cert|key) file)/,
    is: 'failure',
    cause: 'conflicting-setting',
    fault: 'own',
    what: 'auto-tls is on, so it made certificates of its own',
  },
  { message: /^(?:ignoring (?:client|peer) auto TLS since certs given|Loading cert pool)/, is: 'noise' },
  {
    message:
      /^(?:open \/|stat \/|read \/|tls: |could not get certs \(|failed to start etcd|discovery failed|failed to find (?:peer|client) cert files|failed to create (?:peer|client) certificate)/,
    is: 'error',
    as: 'own',
    fatal: true,
    otherwise: 'start-failed',
  },
  {
    message:
      /^(?:(?:Client)?KeyFile and (?:Client)?CertFile must both be present|cannot listen on TLS for |TLS key\/cert \(--cert-file, --key-file\) must be provided)/,
    is: 'failure',
    cause: 'missing-file',
    fault: 'own',
    what: 'a listen url is https and the certificate or the key is not set',
    fatal: true,
  },
  // callers
  { message: /^rejected connection on peer endpoint/, is: 'error', as: 'server', about: 'etcd' },
  { message: /^rejected connection\b/, is: 'error', as: 'server' },
  // itself: its gateway calls its own client port with its server certificate
  { message: /^grpc: addrConn\.createTransport failed to connect to /, is: 'error', as: 'own' },
  // other members
  {
    message: /^(?:peer \w+ became active|peer became active|established (?:a )?TCP streaming connection with)/,
    is: 'success',
    sign: 'peer',
  },
  {
    message:
      /^(?:peer (?:\w+ )?became inactive|lost (?:the )?TCP streaming connection with|health check for peer \w+ could not connect|prober detected unhealthy status|failed to reach the peer ?URL|failed to get (?:version|cluster response))/,
    is: 'error',
    as: 'client',
    about: 'etcd',
    curedBy: 'peer',
  },
];
