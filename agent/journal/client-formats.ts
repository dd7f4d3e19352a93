/** What client-go writes in every component that calls the API server: kubelet, the managers, kube-proxy; v1.20 to v1.36. */
import type { Format } from './formats.ts';

/** First match counts. */
export const API_CLIENT: readonly Format[] = [
  // the reflector, up to v1.30 by utilruntime with its name before the text
  {
    message: /^(?:\S+\.go:\d+: )?(?:Failed to (?:watch|list)\b|failed to list )/,
    is: 'error',
    as: 'client',
    about: 'kube-apiserver',
    curedBy: 'identity',
  },
  {
    // only the structured form: before it the event itself stands in the text, which tenants write
    message: /^Unable to write event \(may retry after sleeping\)$/,
    is: 'error',
    as: 'client',
    about: 'kube-apiserver',
    curedBy: 'identity',
  },
  // the client certificate, where the kubeconfig names files
  { message: /^Certificate rotation detected, shutting down client connections/i, is: 'success', sign: 'pair' },
  {
    message: /^(?:key failed with : |Loading client cert failed$)/,
    is: 'error',
    as: 'own',
    curedBy: 'pair',
    otherwise: 'malformed-file',
  },
];
