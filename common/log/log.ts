/** One-line JSON logs with sd-daemon priority prefixes, through winston; secrets never pass. */
import winston from 'winston';
import { AppError, messageOf } from '../errors/app-error.ts';
import type { LogFields } from './fields.ts';

/** A logger. Messages are constant; what varies stands in the fields. */
export interface Log {
  error(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  debug(message: string, fields?: LogFields): void;
}

/** How much is logged. */
export type LogLevel = 'error' | 'warn' | 'info' | 'debug';

/** sd-daemon(3): the journal takes the priority from this prefix. */
const PRIORITY: Record<string, string> = { error: '<3>', warn: '<4>', info: '<6>', debug: '<7>' };

/**
 * Bootstrap tokens (ID.SECRET), wherever in a word they stand; a private key between its PEM markers, or to the end of a text that was
 * cut; a kubeconfig's embedded key.
 */
const SECRETS = [
  [/([a-z0-9]{8})\.[a-z0-9]{32,}/gi, '$1.[redacted]'],
  [/-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?(-----END [A-Z ]*PRIVATE KEY-----|$)/g, '[redacted private key]'],
  [/(client-key-data"?\s*[:=]\s*"?)[A-Za-z0-9+/=]+/g, '$1[redacted]'],
] as const;

/**
 * A logger that writes to standard error.
 *
 * @param level - least important level that is written
 * @param prefix - true under systemd, where the journal reads the priority prefix
 */
export function createLog(level: LogLevel, prefix = process.env.JOURNAL_STREAM !== undefined): Log {
  const line = winston.format.printf((info) => {
    const { level: at, message, ...fields } = info;
    const entry = { at: new Date().toISOString(), level: at, message, ...fields };
    // text by text, before JSON escapes line breaks: the line stays JSON, and a secret stays recognizable
    const text = JSON.stringify(entry, (_, value: unknown) => (typeof value === 'string' ? redact(value) : value));
    return `${prefix ? (PRIORITY[at] ?? '') : ''}${text}`;
  });
  const logger = winston.createLogger({
    level,
    format: line,
    transports: [new winston.transports.Console({ stderrLevels: ['error', 'warn', 'info', 'debug'] })],
  });
  const write = (at: LogLevel) => (message: string, fields?: LogFields) => {
    logger.log(at, message, fields === undefined ? {} : plain(fields));
  };
  return { error: write('error'), warn: write('warn'), info: write('info'), debug: write('debug') };
}

/** A logger that writes nothing, for tests and for commands that print their own output. */
export const silentLog: Log = { error() {}, warn() {}, info() {}, debug() {} };

/** The text without tokens' secrets and private keys. */
export function redact(text: string): string {
  return SECRETS.reduce((rest, [secret, instead]) => rest.replace(secret, instead), text);
}

/** Fields with the error written out: its reason and the chain of its causes. */
function plain(fields: LogFields): Record<string, unknown> {
  const { error, ...rest } = fields;
  if (error === undefined) return rest;
  return { ...rest, error: causes(error), ...(error instanceof AppError ? { reason: error.reason } : {}) };
}

function causes(error: unknown): string {
  const texts: string[] = [];
  for (let at: unknown = error; at !== undefined && texts.length < 5; at = at instanceof Error ? at.cause : undefined) {
    texts.push(messageOf(at));
  }
  return texts.join(': ');
}
