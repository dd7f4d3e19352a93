/** The guard that kubelet's probes of an etcd pod go on working when its clients need certificates: kubelet has none to show. */
import { z } from 'zod';
import type { DetectedEtcd, Problem } from '../detect/detected.ts';
import { parseYaml } from './edit-yaml.ts';
import { hostAndPort, splitUrls } from './etcd-urls.ts';

const port = z.union([z.number(), z.string()]);
const probe = z.object({ httpGet: z.object({ port }).nullish(), exec: z.unknown().optional() }).nullish();
const schema = z.object({
  spec: z.object({
    containers: z.array(
      z.object({
        name: z.string(),
        ports: z.array(z.object({ name: z.string().nullish(), containerPort: z.number() })).nullish(),
        livenessProbe: probe,
        readinessProbe: probe,
        startupProbe: probe,
      }),
    ),
  }),
});

/** @param listenClientUrls as it will listen */
export function guardProbes({ process }: DetectedEtcd, listenClientUrls: string): Problem[] {
  if (process.kind !== 'static-pod') return [];
  const { path, text } = process.manifest;
  const parsed = schema.safeParse(parseYaml(text).toJS());
  const container = parsed.data?.spec.containers.find(({ name }) => name === process.container);
  if (container === undefined) return [];
  const { livenessProbe, readinessProbe, startupProbe, ports } = container;
  const clientPorts = splitUrls(listenClientUrls).flatMap((url) => hostAndPort(url)?.port ?? []);
  return Object.entries({ livenessProbe, readinessProbe, startupProbe }).flatMap(([name, each]) => {
    const asked = each?.httpGet?.port;
    const number = ports?.find((named) => named.name === asked)?.containerPort ?? asked;
    const plain = clientPorts.some((at) =>
      new RegExp(`http://[^"\\s]*:${at}\\b`).test(JSON.stringify(each?.exec ?? '')),
    );
    if (!plain && !clientPorts.includes(String(number))) return [];
    const message = `its ${name} asks the port for clients without a certificate, and kubelet would end the pod: let it ask one of --listen-metrics-urls`;
    return [{ component: 'etcd' as const, path, message }];
  });
}
