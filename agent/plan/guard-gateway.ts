/** The guard that an etcd can be asked for its members: by its JSON gateway. */
import type { DetectedEtcd, Problem } from '../detect/detected.ts';
import { effectiveSetting } from './etcd-settings.ts';
import type { PlanInput } from './plan-input.ts';

/**
 * The flag --enable-grpc-gateway is on by default; an etcd with a configuration file has it off unless the file says so (seen with etcd
 * 3.4.23). Once the server has decided how far this etcd goes it was asked before, and is only away.
 */
export function guardGateway(
  etcd: DetectedEtcd,
  { etcdCluster, settings }: Pick<PlanInput, 'etcdCluster'> & { settings: Pick<PlanInput['settings'], 'etcdStep'> },
): Problem[] {
  const { configFile } = etcd;
  if (etcdCluster !== undefined || settings.etcdStep !== undefined || configFile === undefined) return [];
  if (effectiveSetting(etcd, 'enable-grpc-gateway') === 'true') return [];
  const message =
    'etcd does not tell its members: with a configuration file its JSON gateway is off; add "enable-grpc-gateway: true" to the file and restart etcd';
  return [{ component: 'etcd', message, path: configFile.path }];
}
