/** Certificates as others make them and as this program never would, signed by openssl with the key of a test's CA. */
import { type Openssl, opensslFolder } from '../../common/x509/openssl-for-tests.ts';
import type { Signer } from '../../common/x509/sign.ts';

/** What is odd; each is optional. */
export interface Odd {
  /** As in openssl's section of alternative names: "DNS.1=K8s foo bar". */
  names?: readonly string[];
  /** Lines of the subject: "CN=x". */
  subject?: readonly string[];
  /** Type of the subject's strings, as in openssl's string_mask: "MASK:0x800" is BMPString. */
  stringMask?: string;
  /** "-5". */
  serial?: string;
  /** "sha1". */
  digest?: string;
}

/** A leaf; valid for ten years from today on. */
export function issueOdd(signer: Signer, odd: Odd): string {
  const openssl = opensslFolder();
  try {
    return signed(openssl, signer, odd);
  } finally {
    openssl.remove();
  }
}

function signed(openssl: Openssl, { certificate, key }: Signer, odd: Odd): string {
  const { names = [], subject = ['CN=odd'], stringMask = 'utf8only', serial = '7', digest = 'sha256' } = odd;
  openssl.write(
    'odd.cnf',
    [
      ...['[req]', 'distinguished_name=dn', 'prompt=no', 'utf8=yes', `string_mask=${stringMask}`, '[dn]', ...subject],
      ...['[ext]', 'basicConstraints=CA:FALSE', ...(names.length === 0 ? [] : ['subjectAltName=@names'])],
      ...['[names]', ...names],
    ].join('\n'),
  );
  openssl.write('ca.crt', certificate.pem);
  openssl.write('ca.key', key.pem);
  const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', 'odd.key'];
  openssl.run('req', '-new', ...curve, '-config', 'odd.cnf', '-out', 'odd.csr');
  const by = ['-CA', 'ca.crt', '-CAkey', 'ca.key', '-set_serial', serial, `-${digest}`, '-days', '3650'];
  openssl.run('x509', '-req', '-in', 'odd.csr', ...by, '-extfile', 'odd.cnf', '-extensions', 'ext', '-out', 'odd.crt');
  return openssl.text('odd.crt');
}
