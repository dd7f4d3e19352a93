/** Whom a front proxy may be: the names that --requestheader-allowed-names lets through. */
import type { FlagEdit } from './rewrite-command.ts';

/** The name in the certificate of our front proxy. */
export const frontProxyName = 'front-proxy-client';

/** Takes our front proxy's name in where others are listed. An empty list allows any name; repeated flags add up. */
export function allowFrontProxy(flags: ReadonlyMap<string, readonly string[]>, edits: Map<string, FlagEdit>): void {
  const lists = flags.get('requestheader-allowed-names') ?? [];
  const allowed = lists.flatMap((list) => list.split(',')).filter((name) => name !== '');
  if (allowed.length === 0 || allowed.includes(frontProxyName)) return;
  edits.set('requestheader-allowed-names', { set: [lists.at(-1), frontProxyName].filter(Boolean).join(',') });
}
