/** Hosts and ports as components write them. */

/** The host of "host", "host:port", "[v6]:port" or an address without brackets: lower case, IPv4 in IPv6 as IPv4. */
export function hostOf(address: string): string {
  const bracketed = /^\[([^\]]*)\](?::\d+)?$/.exec(address)?.[1];
  const host = bracketed ?? (/^[^:]*:\d+$/.test(address) ? address.replace(/:\d+$/, '') : address);
  return host
    .toLowerCase()
    .replace(/%.*$/, '')
    .replace(/^::ffff:(?=\d+\.\d+\.\d+\.\d+$)/, '');
}

/** The port of an address in one of the forms of {@link hostOf}, or ''. */
export function portOf(address: string): string {
  return /^(?:\[[^\]]*\]|[^:]*):(\d+)$/.exec(address)?.[1] ?? '';
}

/** True for addresses of this machine that need no network. */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127\.\d+\.\d+\.\d+$/.test(host);
}
