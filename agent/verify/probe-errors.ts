/** What errors of connections mean for a probe. */
import { messageOf } from '../../common/errors/app-error.ts';
import type { ProbeOutcome } from './probe.ts';
import type { Served } from './server-trust.ts';

/** How a connection was ended instead of answered. */
export type RefusedBy =
  /** The server sent a TLS alert: it does not accept our certificate, or that we have none. */
  | 'tls-alert'
  /** The server closed the connection or reset it. */
  | 'reset'
  /** The server does not speak TLS. */
  | 'plaintext-port'
  /** The server speaks TLS, but no version or cipher that we do, or not correctly. */
  | 'tls-protocol'
  /** The server answers, but not with HTTP: TLS where plaintext was spoken. */
  | 'not-http';

const NOT_TLS = /WRONG_VERSION_NUMBER|PACKET_LENGTH_TOO_LONG|HTTP_REQUEST|wrong version number|packet length too long/;

/** What an error of a connection means. `served` is the certificate that the server had shown before, if any. */
export function refusalOf(error: unknown, served: Served | undefined): ProbeOutcome {
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  const detail = detailOf(error, code);
  const refused = (by: RefusedBy): ProbeOutcome => ({ kind: 'refused', by, detail, served });
  if (/ALERT/.test(code) || /\balert\b/i.test(detail)) return refused('tls-alert');
  if (NOT_TLS.test(code) || NOT_TLS.test(detail)) return refused('plaintext-port');
  if (code === 'ECONNRESET' || code === 'EPIPE') return refused('reset');
  if (code.startsWith('HPE_')) return refused('not-http');
  if (code.startsWith('ERR_SSL_') || code === 'EPROTO') return refused('tls-protocol');
  return { kind: 'unreachable', detail };
}

/** One line: the reason of OpenSSL where there is one, without its addresses and file names. */
function detailOf(error: unknown, code: string): string {
  const message = messageOf(error).trim();
  const openssl = /:SSL routines:[^:]*:([^:]+)/.exec(message)?.[1];
  const text = openssl ?? message.split('\n')[0] ?? '';
  if (text === '') return code; // an AggregateError of several addresses has a code only
  return code === '' || text.includes(code) ? text : `${text} (${code})`;
}
