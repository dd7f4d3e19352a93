/** TLS of a listener, with certificates that can be replaced while it runs. */
import type { SecureContextOptions } from 'node:tls';
import { ServerCredentials } from '@grpc/grpc-js';

/** What a listener shows and whom it trusts. */
export interface TlsMaterial {
  /** Certificate of the server, PEM, leaf first, with whatever of the chain clients shall see. */
  certPem: string;
  /** Its private key, PEM, unencrypted. */
  keyPem: string;
  /** Roots for client certificates, PEM. Given, a client without a certificate of theirs is refused in TLS. */
  clientRootsPem?: string;
}

/**
 * Credentials for grpc-js. Its own createSsl cannot reload, and its certificate-provider credentials can set neither a
 * TLS version nor a handshake time limit; both derive from this same exported class.
 */
export class ReloadableCredentials extends ServerCredentials {
  readonly #mutual: boolean;

  constructor(material: TlsMaterial) {
    const mutual = material.clientRootsPem !== undefined;
    super(
      { requestCert: mutual, rejectUnauthorized: mutual, handshakeTimeout: 10_000, ...contextOf(material) },
      contextOf(material),
    );
    this.#mutual = mutual;
  }

  /** New connections get this; those that are open go on. Whether clients need a certificate stays as it was. */
  reload(material: TlsMaterial): void {
    if (this.#mutual !== (material.clientRootsPem !== undefined))
      throw new Error('client authentication cannot change');
    this.updateSecureContextOptions(contextOf(material));
  }

  override _equals(other: ServerCredentials): boolean {
    return this === other;
  }
}

function contextOf(material: TlsMaterial): SecureContextOptions {
  return {
    cert: material.certPem,
    key: material.keyPem,
    minVersion: 'TLSv1.2',
    ...(material.clientRootsPem === undefined ? {} : { ca: material.clientRootsPem }),
  };
}
