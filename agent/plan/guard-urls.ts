/** The guard that every URL of an etcd member is understood: one that is not may be a listener without TLS. */
import type { DetectedEtcd, Problem } from '../detect/detected.ts';
import { effectiveSetting, urlSettings } from './etcd-settings.ts';
import { splitUrls } from './etcd-urls.ts';

/** What etcd takes (pkg/types NewURLs); a slash at the end is more than it takes, and does not make it another URL. */
const isUrl = (url: string) =>
  /^(https?:\/\/(\[[^[\]]+\]|[^\s:/?#@[\]"]*):\d+\/?|unixs?:(\/\/)?[^/\s"]\S*|unixs?:\/\/\/\S+)$/i.test(url);

/** A problem for each setting that holds what is no URL. */
export function guardUrls(etcd: DetectedEtcd): Problem[] {
  const lists = [...urlSettings, 'listen-metrics-urls'].map((name) => ({
    name,
    urls: splitUrls(effectiveSetting(etcd, name)),
  }));
  const members = splitUrls(effectiveSetting(etcd, 'initial-cluster')).map((entry) => entry.replace(/^[^=]*=/, ''));
  return [...lists, { name: 'initial-cluster', urls: members.map((url) => url.trim()) }].flatMap(({ name, urls }) => {
    const wrong = urls.filter((url) => !isUrl(url));
    if (wrong.length === 0) return [];
    const message = `--${name} holds ${wrong.join(', ')}, which is no URL that etcd takes, so it cannot be told whether it speaks TLS there: write it as http:// or https:// with a host and a port`;
    return [{ component: 'etcd' as const, message }];
  });
}
