/** Bootstrap tokens as text, ID.SECRET: made, read from strangers, compared. */
import { createHash, randomInt, timingSafeEqual } from 'node:crypto';

/** A token's two parts. */
export interface TokenText {
  /** Public: 8 of a-z and 0-9. */
  id: string;
  /** 32 to 64 of a-z and 0-9. */
  secret: string;
}

const letters = 'abcdefghijklmnopqrstuvwxyz0123456789';

/** A new token; its secret has 165 random bits. */
export function newToken(): TokenText {
  return { id: randomText(8), secret: randomText(32) };
}

/** Reads "ID.SECRET", or returns undefined when the text is malformed. */
export function parseToken(text: string): TokenText | undefined {
  const match = /^([a-z0-9]{8})\.([a-z0-9]{32,64})$/.exec(text);
  return match?.[1] === undefined || match[2] === undefined ? undefined : { id: match[1], secret: match[2] };
}

/** Reads the header "authorization: Bearer ID.SECRET", or returns undefined when it is absent or malformed. */
export function parseBearer(header: string | undefined): TokenText | undefined {
  const match = /^Bearer +(\S{1,200})$/i.exec(header?.slice(0, 300) ?? '');
  return match?.[1] === undefined ? undefined : parseToken(match[1]);
}

/** SHA-256, hexadecimal: the form in which a secret is stored. */
export function hashSecret(secret: string): string {
  return createHash('sha256').update(secret).digest('hex');
}

/** Compares a secret with a stored hash in constant time; an unknown token (undefined) takes as long and matches nothing. */
export function secretMatches(secret: string, secretSha256: string | undefined): boolean {
  const given = Buffer.from(hashSecret(secret), 'hex');
  const stored = Buffer.from(secretSha256 ?? '', 'hex');
  const known = stored.length === given.length;
  return timingSafeEqual(given, known ? stored : Buffer.alloc(given.length)) && known;
}

function randomText(length: number): string {
  return Array.from({ length }, () => letters[randomInt(letters.length)]).join('');
}
