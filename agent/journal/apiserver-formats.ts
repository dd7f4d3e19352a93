/** What kube-apiserver writes, v1.20 to v1.36. */
import { DYNAMIC_CERTIFICATES, type Format } from './formats.ts';

/** First match counts. */
export const APISERVER_FORMATS: readonly Format[] = [
  ...DYNAMIC_CERTIFICATES,
  {
    // also what a stopping etcd causes, so it counts only where the API server does not come to serve
    message:
      /^grpc: addrConn\.createTransport failed .*authentication handshake failed: (?:EOF|read tcp \S+: read: connection reset by peer)/,
    is: 'failure',
    cause: 'conflicting-setting',
    fault: 'peer-server',
    what: 'it ended the TLS handshake: it speaks plaintext, or it is stopping',
    side: 'client',
    about: 'etcd',
    curedBy: 'serving',
    transient: true,
  },
  {
    message: /^grpc: addrConn\.createTransport failed to connect to /,
    is: 'error',
    as: 'client',
    about: 'etcd',
    curedBy: 'serving',
  },
  {
    message: /^Unable to create storage backend: /,
    is: 'error',
    as: 'client',
    about: 'etcd',
    fatal: true,
    otherwise: 'start-failed',
  },
  {
    message:
      /^(?:error dialing backend: |Error trying to reach service|apiserver received an error that is not an metav1\.Status)/,
    is: 'error',
    as: 'client',
    about: 'kubelet',
  },
  { message: /^v\w+\.\S+ failed with: failing or missing response from /, is: 'noise' },
  { message: /^failed calling webhook/i, is: 'noise' },
  {
    message: /^(?:[\w/-]+,)*loopback-serving-certificate(?:,[\w/-]+)* check failed: /,
    is: 'failure',
    cause: 'expired',
    fault: 'own',
    what: 'its certificate for calls to itself has expired, since it has run for more than a year: restart it',
  },
  {
    message: /^Generated self-signed cert/,
    is: 'failure',
    cause: 'conflicting-setting',
    fault: 'own',
    what: 'no serving certificate is configured, so it made one that nobody trusts',
  },
];
