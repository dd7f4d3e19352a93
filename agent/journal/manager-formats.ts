/** What kube-controller-manager and kube-scheduler write, v1.20 to v1.36. */
import { API_CLIENT } from './client-formats.ts';
import { DYNAMIC_CERTIFICATES, type Format } from './formats.ts';

/** First match counts. */
export const MANAGER_FORMATS: readonly Format[] = [
  {
    // fatal; up to v1.20 it stands alone on a line, later as the error of "command failed"
    message: /^unable to load configmap based request-header-client-ca-file: /,
    is: 'error',
    as: 'client',
    about: 'kube-apiserver',
    fatal: true,
  },
  {
    message: /^error (?:parsing root-ca-file at|reading key for service account)/i,
    is: 'error',
    as: 'own',
    fatal: true,
    otherwise: 'malformed-file',
  },
  {
    // every fatal error of theirs that is about a connection is about the API server
    message: /^(?:command failed$|Error: )/,
    is: 'error',
    as: 'client',
    about: 'kube-apiserver',
    fatal: true,
    otherwise: 'start-failed',
  },
  ...DYNAMIC_CERTIFICATES,
  ...API_CLIENT,
  { message: /^Attempting to acquire leader lease/i, is: 'success', sign: 'working' },
  { message: /^Successfully acquired lease/i, is: 'success', sign: 'identity' },
  {
    message:
      /^(?:error (?:retrieving (?:resource|lease) lock|initially creating leader election record)|Failed to (?:update|release) lock|Failed to renew lease|leaderelection lost|Error looking up in-cluster authentication configuration)/i,
    is: 'error',
    as: 'client',
    about: 'kube-apiserver',
    curedBy: 'identity',
  },
  { message: /^Continuing without authentication configuration/, is: 'noise' },
  {
    message: /^Unable to get configmap\/extension-apiserver-authentication in kube-system/,
    is: 'failure',
    cause: 'untrusted-identity',
    fault: 'own',
    what: 'the API server does not let its identity read how to authenticate callers',
    side: 'client',
    about: 'kube-apiserver',
  },
  { message: /^No authentication-kubeconfig provided/, is: 'noise' },
  { message: /^Starting controller$/, detail: /^csr-controller::/, is: 'success', sign: 'loaded' },
  { message: /^Starting csr-controller::/, is: 'success', sign: 'loaded' },
  { message: /^Skipping CSR signer controller/, is: 'noise' },
  {
    message:
      /^(?:error auto signing csr: |unable to parse csr |error updating signature for csr|Sync \S+ failed with : )/i,
    is: 'error',
    as: 'own',
  },
  { message: /^Generated self-signed cert/, is: 'noise' },
];
