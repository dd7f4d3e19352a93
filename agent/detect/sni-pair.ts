/** Values of --tls-sni-cert-key. Source: kubernetes, component-base/cli/flag/namedcertkey_flag.go. */

/** A certificate that is served for some names. */
export interface SniPair {
  certificate: string;
  key: string;
}

/**
 * "CERT,KEY" or "CERT,KEY:DOMAIN,DOMAIN"; each occurrence of the flag is one pair. The domains only choose among
 * certificates: clients compare the names in the certificate.
 *
 * @returns undefined for what the program refuses
 */
export function parseSniPair(value: string): SniPair | undefined {
  const colon = value.indexOf(':');
  const files = colon < 0 ? value : value.slice(0, colon);
  if (colon >= 0 && value.slice(colon + 1).trim() === '') return undefined;
  const [certificate = '', key = '', ...more] = files.split(',').map((part) => part.trim());
  return certificate === '' || key === '' || more.length > 0 ? undefined : { certificate, key };
}
