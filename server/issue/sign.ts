/** The signature. Nothing else in the server signs. */
import { type Signer, signCertificate } from '../../common/x509/sign.ts';
import { type Approval, isApproval } from '../policy/approve.ts';

/**
 * Signs an approval and returns the PEM of the certificate.
 *
 * @param serial recorded as intended before, see Store.recordIntents
 * @throws TypeError for anything that policy did not make; AppError invalid-request for fields that no certificate may have
 */
export function sign(approval: Approval, serial: string, signer: Signer): string {
  if (!isApproval(approval)) throw new TypeError('only an approval can be signed');
  const { commonName, organizations, publicKey, notBefore, notAfter, usages, dnsNames, ipAddresses, uris } =
    approval.fields;
  return signCertificate(
    {
      serial,
      commonName,
      organizations: [...organizations],
      publicKey,
      notBefore,
      notAfter,
      usages: [...usages],
      dnsNames: [...dnsNames],
      ipAddresses: [...ipAddresses],
      uris: [...uris],
      ca: false,
    },
    signer,
  );
}
