/** Certificates that may be broken, where broken is an answer and not an error. */
import { type Certificate, parseCertificate } from '../../common/x509/certificate.ts';

/** The first certificate of a PEM text, or undefined when there is none that can be read. */
export function tryParse(pem: string): Certificate | undefined {
  try {
    return parseCertificate(pem);
  } catch {
    return undefined; // what is wrong with it is reported with the inventory; here it only counts as not there
  }
}
