/** URL lists as etcd and the API server write them, separated by commas. */

/** The entries, trimmed; none for an empty list. */
export function splitUrls(list: string): string[] {
  return list
    .split(',')
    .map((url) => url.trim())
    .filter((url) => url !== '');
}

/** The list with every http:// as https://; sockets and https stay. */
export function secureUrls(list: string): string {
  return splitUrls(list).map(secureUrl).join(',');
}

/** The URL with https:// for http://. */
export function secureUrl(url: string): string {
  return url.replace(/^http:\/\//i, 'https://');
}

/** True when every TCP entry is https; unix sockets do not count. */
export function allSecure(list: string): boolean {
  return !splitUrls(list).some((url) => /^http:/i.test(url));
}

/** True when any entry is https. */
export function anySecure(list: string): boolean {
  return splitUrls(list).some((url) => /^https:/i.test(url));
}

/** Host (without brackets, lower case) and port of an http or https URL; undefined for anything else. */
export function hostAndPort(url: string): { host: string; port: string } | undefined {
  const parsed = URL.parse(url);
  if (parsed === null || !/^https?:$/.test(parsed.protocol)) return undefined;
  const port = parsed.port === '' ? (parsed.protocol === 'https:' ? '443' : '80') : parsed.port;
  return { host: parsed.hostname.replace(/^\[(.*)\]$/, '$1').toLowerCase(), port };
}
