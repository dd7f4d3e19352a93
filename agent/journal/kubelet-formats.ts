/** What kubelet writes, v1.20 to v1.36. */
import { API_CLIENT } from './client-formats.ts';
import { DYNAMIC_CERTIFICATES, type Format } from './formats.ts';

/** First match counts. Lines about pods are left out on purpose: their text is the tenants'. */
export const KUBELET_FORMATS: readonly Format[] = [
  ...DYNAMIC_CERTIFICATES,
  ...API_CLIENT,
  { message: /^Started kubelet$/, is: 'success', sign: 'serving' },
  { message: /^Starting to listen/, is: 'success', sign: 'loaded' },
  { message: /^Successfully registered node\b/, is: 'success', sign: 'identity' },
  { message: /^Attempting to register node\b/, is: 'noise' },
  { message: /^loaded certificate and key pair in kubelet/, is: 'success', sign: 'pair' },
  { message: /^Loading cert\/key pair\b/, is: 'success', sign: 'pair' },
  {
    message: /^(?:Certificate rotation (?:is |deadline)|Rotating certificates|Waiting for next certificate rotation)/,
    is: 'noise',
  },
  {
    message: /^Client rotation is on/,
    is: 'failure',
    cause: 'conflicting-setting',
    fault: 'own',
    what: 'kubelet rotates its client certificate itself (rotateCertificates) and overwrites what it was given',
  },
  {
    message: /^part of the existing bootstrap client certificate (?:in (\S+) )?is expired/i,
    is: 'failure',
    cause: 'expired',
    fault: 'own',
    what: 'its client certificate has expired',
  },
  {
    message:
      /^unable to (?:read existing bootstrap client config from|load transport configuration|load TLS configuration|load TLS certificates)/i,
    is: 'error',
    as: 'own',
    otherwise: 'malformed-file',
  },
  { message: /^failed to run Kubelet: /i, is: 'error', as: 'client', fatal: true, otherwise: 'start-failed' },
  {
    message: /^invalid certificate and key pair from file/,
    is: 'error',
    as: 'own',
    curedBy: 'pair',
    otherwise: 'key-mismatch',
  },
  {
    message:
      /^(?:Unable to register node|Error updating node status|Unable to update node status|Error getting the current node from lister|failed to (?:ensure lease exists|update lease)|Failed to contact API server when waiting for CSINode publishing)/i,
    is: 'error',
    as: 'client',
    about: 'kube-apiserver',
    curedBy: 'identity',
  },
  {
    message:
      /^(?:The currently active client certificate has expired|No valid client certificate is found) and the server is responsive/,
    is: 'failure',
    cause: 'expired',
    fault: 'own',
    what: 'its client certificate has expired',
    fatal: true,
  },
  {
    message: /^(?:The currently active client certificate has expired|No valid client certificate is found)/,
    is: 'failure',
    cause: 'expired',
    fault: 'own',
    what: 'its client certificate has expired and the API server does not answer',
  },
  {
    message:
      /^(?:\S+: )?(?:[Cc]ertificate request was not signed|Failed while requesting a signed certificate|Reached backoff limit, still unable to rotate certs|Unable to (?:store the new cert\/key pair|generate a certificate signing request|load a client to request certificates|set the cert\/key pair to the bootstrap certificate)|expected ".*" to be a symlink but it is a file)/,
    is: 'failure',
    cause: 'conflicting-setting',
    fault: 'own',
    what: 'its own rotation of certificates is on and does not work',
  },
  {
    message: /^Using self-signed cert\b/,
    is: 'failure',
    cause: 'conflicting-setting',
    fault: 'own',
    what: 'no serving certificate is configured, so it made one that nobody trusts',
  },
];
