/** A cluster of systemd units, adopted. */
import { startUnitCluster } from '../lab/clusters.ts';
import { adoptionTests } from './adopt.ts';

adoptionTests('a cluster of systemd units', startUnitCluster);
