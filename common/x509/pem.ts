/** PEM, RFC 7468: strict where one block is expected, forgiving about text around certificates. */
import { refusal } from './refuse.ts';

/** PEM text of DER bytes, ending in a line feed. */
export function toPem(label: string, der: Uint8Array): string {
  const lines =
    Buffer.from(der)
      .toString('base64')
      .match(/.{1,64}/g) ?? [];
  return `-----BEGIN ${label}-----\n${lines.join('\n')}\n-----END ${label}-----\n`;
}

/**
 * The bytes of the only block of a text, with nothing but whitespace around it.
 *
 * @param labels accepted labels
 * @throws AppError invalid-request
 */
export function onlyPemBlock(text: string, labels: readonly string[], what: string): Buffer {
  const trimmed = text.trim();
  for (const label of labels) {
    const begin = `-----BEGIN ${label}-----`;
    const end = `-----END ${label}-----`;
    if (trimmed.startsWith(begin) && trimmed.endsWith(end)) {
      const body = trimmed.slice(begin.length, -end.length);
      if (body.includes('-----')) break;
      return fromBase64(body, what);
    }
  }
  throw refusal(`the ${what} is neither DER nor exactly one PEM block ${labels[0]}`);
}

/**
 * The bytes of all blocks with this label, in order. Other blocks and text between them are passed over.
 *
 * @throws AppError invalid-request for a block that does not end or is not base64
 */
export function pemBlocks(text: string, label: string, what: string): Buffer[] {
  const begin = `-----BEGIN ${label}-----`;
  const end = `-----END ${label}-----`;
  const blocks: Buffer[] = [];
  for (let from = text.indexOf(begin); from >= 0; from = text.indexOf(begin, from)) {
    const to = text.indexOf(end, from);
    if (to < 0) throw refusal(`the ${what} is cut off: its last PEM block has no end`);
    blocks.push(fromBase64(text.slice(from + begin.length, to), what));
    from = to + end.length;
  }
  return blocks;
}

function fromBase64(text: string, what: string): Buffer {
  const digits = text.replace(/[\r\n\t ]/g, '');
  const bytes = Buffer.from(digits, 'base64');
  if (digits.length === 0 || bytes.toString('base64') !== digits) {
    throw refusal(`the ${what} holds a PEM block that is not base64`);
  }
  return bytes;
}
