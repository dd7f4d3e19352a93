/** A cluster of systemd units moves from its own CAs to new ones. */
import { startUnitCluster } from '../lab/clusters.ts';
import { replaceCaTests } from './replace-ca.ts';

replaceCaTests('a cluster of systemd units', startUnitCluster);
