/** The guard that an etcd can be asked for its members: by its JSON gateway. */
import type { DetectedEtcd, Problem } from '../detect/detected.ts';
import { effectiveSetting } from './etcd-settings.ts';
import type { PlanInput } from './plan-input.ts';

/**
 * The flag --enable-grpc-gateway is on by default; an etcd with a configuration file has it off unless the file says so
 * (server/embed/config.go, NewConfig; etcd 3.4 and 3.5), and answers 404 then.
 */
export function guardGateway(etcd: DetectedEtcd, { etcdCluster }: Pick<PlanInput, 'etcdCluster'>): Problem[] {
  const { configFile } = etcd;
  if (etcdCluster !== undefined || configFile === undefined) return [];
  if (effectiveSetting(etcd, 'enable-grpc-gateway') === 'true') return [];
  const message =
    'etcd does not tell its members: with a configuration file its JSON gateway is off; add "enable-grpc-gateway: true" to the file and restart etcd';
  return [{ component: 'etcd', message, path: configFile.path }];
}
