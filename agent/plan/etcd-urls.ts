/** URLs of etcd, and its lists of them: separated by commas (pkg/types NewURLs). */

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

/** True when every entry is https or a unix socket; what is not understood is not. */
export function allSecure(list: string): boolean {
  return splitUrls(list).every((url) => /^(https|unixs?):/i.test(url));
}

/** True when any entry is https. */
export function anySecure(list: string): boolean {
  return splitUrls(list).some((url) => /^https:/i.test(url));
}

/**
 * Host (without brackets, lower case) and port of an http or https URL, or of what a client of etcd takes for one: "host:port" and "host"
 * (etcd 3.5, client/v3/internal/endpoint). Both are '' where they are not given. Undefined for a unix socket and for what is no URL.
 */
export function hostAndPort(url: string): { host: string; port: string } | undefined {
  const found = /^(?:https?:\/\/(?:[^@/?#]*@)?)?(?:\[([^[\]]+)\]|([^\s:/?#@[\]"]*))(?::(\d+))?(?:[/?#].*)?$/i.exec(url);
  if (found === null) return undefined;
  const [, address, name = '', port = ''] = found;
  return { host: (address ?? name).toLowerCase(), port };
}
