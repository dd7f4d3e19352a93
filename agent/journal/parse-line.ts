/** What a line of a component says: its framing taken off, whichever of the frames in use it came in. */
import type { JournalEntry } from './journal-entry.ts';
import { isOfWebhook } from './vocabulary.ts';

/** A line without its frame. */
export interface ParsedLine {
  /** Frame: klog's header, klog's or zap's JSON, zap's console, etcd's capnslog, systemd's own lines, or none. */
  format: 'klog' | 'klog-json' | 'zap' | 'zap-console' | 'capnslog' | 'systemd' | 'text';
  /** As the line claims. Not to be trusted: Go's log package reaches klog as "info", etcd refuses clients at "info". */
  severity: 'fatal' | 'error' | 'warning' | 'info' | '';
  /** File that logged it, "reflector.go"; '' when the frame does not say. */
  source: string;
  /** The message; of a structured line without its fields. */
  message: string;
  /** The field name, certName or tls-info of a structured line: which files it speaks of; '' without one. */
  detail: string;
  /** The text in which the reason stands: the field err or error, else the message from its error on. */
  error: string;
  /** The other side of a connection taken: "10.77.0.10:52402"; '' when not named. */
  remote: string;
  /** The name that a client asked for (SNI); chosen by the client. */
  serverName: string;
  /** The address called, "https://10.77.0.10:6443/api"; '' when not named. */
  url: string;
  /** Host and port of the address called, "10.77.0.10:6443"; '' when not named. */
  host: string;
}

type Frame = Pick<ParsedLine, 'format' | 'severity' | 'source' | 'message'> & { fields: ReadonlyMap<string, string> };

/** A text in Go's %q form, without its quotes. */
const QUOTED = String.raw`"((?:[^"\\]|\\.)*)"`;
/** What a wrapper or a shipper of logs puts in front of each line: "kubelet: ", a time; without quotes, behind which may be anybody's words. */
const PREFIX = /^[^"\n]{1,40}?(?=[IWEF]\d{4} \d\d:)/;
const KLOG = /^([IWEF])\d{4} \d\d:\d\d:\d\d\.\d+\s+\d+ ([\w.-]+):\d+\] (.*)$/s;
const CAPNSLOG = /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d+ ([A-Z]) \| (?:([\w/]+): )?(.*)$/s;
const GRPC = /^(INFO|WARNING|ERROR|FATAL): \d{4}\/\d\d\/\d\d \d\d:\d\d:\d\d (.*)$/s;
const CONSOLE = /^\d{4}-\d\d-\d\dT[\d:.]+(?:Z|[+-]\d{4})\t(\w+)\t([^\t]*)\t([^\t]*)(?:\t(\{.*\}))?$/s;
const GRPC_SCOPE = /^\[core\] ?(?:\[[\w #]+\] ?)*/;
const REJECTED = new RegExp(
  `^rejected connection from ${QUOTED} \\(error ${QUOTED}, ServerName ${QUOTED}(?:, IPAddresses \\[.*)?\\)?`,
  's',
);
const HANDSHAKE = /^http: TLS handshake error from (\S+): (.*)$/s;
const DIALLED = /^grpc: addrConn\.createTransport failed to connect to \{(?:Addr: )?"?(?:\w+:\/\/)?([^\s",}]*)/;
const DESC = new RegExp(`desc = ${QUOTED}`);
const CALLED = /\b(?:Get|Head|Post|Put|Patch|Delete) "?(https?:\/\/[^\s"]+)"?: (.*)$/s;
/** A Go value printed with %#v, as the API server does up to 1.24. */
const URL_ERROR = /&url\.Error\{Op:"\w+", URL:"([^"]+)", Err:(.*)$/s;
const PEER_URL = /\((https?:\/\/[^\s()]+)\)/;
const SEVERITIES: Record<string, ParsedLine['severity']> = {
  I: 'info',
  N: 'info',
  W: 'warning',
  E: 'error',
  C: 'fatal',
  F: 'fatal',
  info: 'info',
  warn: 'warning',
  warning: 'warning',
  error: 'error',
  fatal: 'fatal',
  panic: 'fatal',
};

/** The line of an entry, taken apart. Never throws: what it does not know is text. */
export function parseLine(entry: Pick<JournalEntry, 'message' | 'fromSystemd'>): ParsedLine {
  const frame = unframe(entry);
  const line: ParsedLine = {
    format: frame.format,
    severity: frame.severity,
    source: frame.source,
    message: frame.message,
    detail: frame.fields.get('name') ?? frame.fields.get('certName') ?? frame.fields.get('tls-info') ?? '',
    error: frame.fields.get('err') ?? frame.fields.get('error') ?? frame.message,
    remote: frame.fields.get('remote-addr') ?? '',
    serverName: frame.fields.get('server-name') ?? '',
    url: frame.fields.get('remote-peer-url') ?? frame.fields.get('address') ?? '',
    host: '',
  };
  // "Unhandled Error" err="key failed with : …" is what was the message itself before Kubernetes 1.31
  if (line.message === 'Unhandled Error') line.message = line.error;
  readMessage(line);
  line.host = hostOf(line.url);
  return line;
}

/** Finds remote, url and error where the message itself holds them. */
function readMessage(line: ParsedLine): void {
  const rejected = REJECTED.exec(line.message);
  if (rejected !== null) {
    [line.remote, line.error, line.serverName] = [1, 2, 3].map((index) => unquote(rejected[index])) as [
      string,
      string,
      string, // three indexes give three texts
    ];
    return;
  }
  const handshake = HANDSHAKE.exec(line.message);
  if (handshake !== null) {
    line.remote = handshake[1] ?? '';
    line.error = handshake[2] ?? '';
    return;
  }
  const dialled = DIALLED.exec(line.message);
  if (dialled !== null) {
    line.url = dialled[1] ?? '';
    line.error = unquote(DESC.exec(line.message)?.[1]);
    return;
  }
  if (isOfWebhook(line.error)) return;
  const called = CALLED.exec(line.error) ?? URL_ERROR.exec(line.error);
  if (called !== null) {
    line.url = called[1] ?? '';
    line.error = called[2] ?? '';
    return;
  }
  line.url ||= PEER_URL.exec(line.message)?.[1] ?? '';
}

function unframe({ message, fromSystemd }: Pick<JournalEntry, 'message' | 'fromSystemd'>): Frame {
  const plain = { fields: new Map<string, string>(), source: '', severity: '' } as const;
  if (fromSystemd) return { ...plain, format: 'systemd', message };
  const klog = KLOG.exec(message);
  if (klog !== null) {
    const [, letter = '', source = '', rest = ''] = klog;
    return { format: 'klog', severity: SEVERITIES[letter] ?? '', source, ...structured(rest) };
  }
  const capnslog = CAPNSLOG.exec(message);
  if (capnslog !== null) {
    const [, letter = '', source = '', rest = ''] = capnslog;
    return { ...plain, format: 'capnslog', severity: SEVERITIES[letter] ?? '', source, message: rest };
  }
  const console = CONSOLE.exec(message);
  if (console !== null) {
    const [, level = '', source = '', rest = '', fields] = console;
    return {
      format: 'zap-console',
      severity: SEVERITIES[level.toLowerCase()] ?? '',
      source,
      message: rest,
      fields: fromJson(fields ?? '{}') ?? new Map(),
    };
  }
  const json = message.startsWith('{') ? fromJson(message) : undefined;
  const text = json?.get('msg');
  if (json !== undefined && text !== undefined) {
    const level = json.get('level');
    return {
      format: level === undefined ? 'klog-json' : 'zap',
      severity: SEVERITIES[level ?? (json.has('err') ? 'error' : 'info')] ?? '',
      source: json.get('caller')?.replace(/:\d+$/, '') ?? '',
      message: text.replace(GRPC_SCOPE, ''),
      fields: json,
    };
  }
  const prefix = PREFIX.exec(message)?.[0];
  if (prefix !== undefined && KLOG.test(message.slice(prefix.length)))
    return unframe({ message: message.slice(prefix.length), fromSystemd });
  const grpc = GRPC.exec(message);
  if (grpc !== null) {
    const [, level = '', rest = ''] = grpc;
    const severity = SEVERITIES[level.toLowerCase()] ?? '';
    return { ...plain, format: 'text', severity, message: rest.replace(GRPC_SCOPE, '') };
  }
  return { ...plain, format: 'text', message };
}

/** klog's structured form `"Message" key="value" key=value`, or the text as it is. */
function structured(rest: string): { message: string; fields: ReadonlyMap<string, string> } {
  const head = new RegExp(`^${QUOTED}(?= \\w|$)`).exec(rest);
  // klog writes the scope of gRPC in front of the message too
  if (head === null) return { message: rest.trimEnd().replace(GRPC_SCOPE, ''), fields: new Map() };
  const fields = new Map<string, string>();
  for (const pair of rest.slice(head[0].length).matchAll(new RegExp(` ([\\w.-]+)=(?:${QUOTED}|(\\S*))`, 'g'))) {
    const [, name = '', quoted, bare = ''] = pair;
    fields.set(name, quoted === undefined ? bare : unquote(quoted));
  }
  return { message: unquote(head[1]), fields };
}

/** The members of a JSON object, texts as they are and the rest as JSON; undefined when it is none. */
function fromJson(text: string): ReadonlyMap<string, string> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value !== 'object' || value === null) return undefined;
    return new Map(
      Object.entries(value).map(([key, member]) => [key, typeof member === 'string' ? member : JSON.stringify(member)]),
    );
  } catch {
    return undefined;
  }
}

/** Takes Go's escapes out of a quoted text; an escape that stands for a character by number stays as it is. */
function unquote(text = ''): string {
  return text.replace(/\\([\\"nt])/g, (_, letter: string) => (letter === 'n' ? '\n' : letter === 't' ? '\t' : letter));
}

/** "10.77.0.10:6443" of an address with or without a scheme; https without a port is 443. */
function hostOf(url: string): string {
  const host = /^(?:\w+:\/\/)?([^/?#\s]*)/.exec(url)?.[1] ?? '';
  return url.startsWith('https://') && host !== '' && !/:\d+$/.test(host) ? `${host}:443` : host;
}
