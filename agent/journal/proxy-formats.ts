/** What kube-proxy writes, v1.20 to v1.36. It serves nobody over TLS; it is a client of the API server only. */
import { API_CLIENT } from './client-formats.ts';
import type { Format } from './formats.ts';

/** First match counts. */
export const PROXY_FORMATS: readonly Format[] = [
  // lists that only a server gives that accepts it
  { message: /^Caches are synced\b/, is: 'success', sign: 'identity' },
  { message: /^Successfully retrieved node ?IP/i, is: 'success', sign: 'identity' },
  { message: /^Using \w+ Proxier\b/, is: 'success', sign: 'working' },
  { message: /^Starting [\w ]+ config controller\b/, is: 'success', sign: 'working' },
  ...API_CLIENT,
  {
    message: /^(?:Failed to retrieve node info|Error getting node)\b/i,
    is: 'error',
    as: 'client',
    about: 'kube-apiserver',
    curedBy: 'identity',
  },
  {
    // up to v1.22 the error stands alone on the last line, later it is that of the next row
    message: /^(?:open \/|stat \/|tls: |error loading config file |invalid configuration: |unable to load in-cluster )/,
    is: 'error',
    as: 'own',
    fatal: true,
    otherwise: 'malformed-file',
  },
  {
    message: /^(?:Error running ProxyServer$|command failed$|Error: )/,
    is: 'error',
    as: 'client',
    about: 'kube-apiserver',
    fatal: true,
    otherwise: 'start-failed',
  },
];
