/** Encrypted PKCS#8 with a slow passphrase. node:crypto writes it with 2048 iterations, which is too fast to guess; it reads any number. */
import { createCipheriv, pbkdf2Sync, randomBytes } from 'node:crypto';
import { constructed, encodeDer, integer, oid, primitive, sequence } from './forge.ts';
import { oids } from './oids.ts';

/** EncryptedPrivateKeyInfo: PBES2, PBKDF2 with HMAC-SHA256, AES-256-CBC (RFC 5958 section 3, RFC 8018 section 6.2). */
export function encryptPkcs8(privateKeyInfoDer: Uint8Array, passphrase: string, iterations: number): Buffer {
  const salt = randomBytes(16);
  const iv = randomBytes(16);
  const cipher = createCipheriv('aes-256-cbc', pbkdf2Sync(passphrase, salt, iterations, 32, 'sha256'), iv);
  const encrypted = Buffer.concat([cipher.update(privateKeyInfoDer), cipher.final()]);
  const derivation = sequence(
    oid(oids.pbkdf2),
    sequence(
      primitive('octet-string', salt),
      integer(iterations.toString(16)),
      sequence(oid(oids.hmacWithSha256), primitive('null', Buffer.alloc(0))),
    ),
  );
  const scheme = sequence(oid(oids.aes256Cbc), primitive('octet-string', iv));
  return encodeDer(
    constructed(
      'sequence',
      sequence(oid(oids.pbes2), sequence(derivation, scheme)),
      primitive('octet-string', encrypted),
    ),
  );
}
