/** A cluster of static pods moves from its own CAs to new ones. */
import { startPodCluster } from '../lab/clusters.ts';
import { replaceCaTests } from './replace-ca.ts';

replaceCaTests('a cluster of static pods', startPodCluster);
