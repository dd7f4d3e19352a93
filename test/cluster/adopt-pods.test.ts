/** A cluster of static pods as kubeadm makes it, adopted. */
import { startPodCluster } from '../lab/clusters.ts';
import { adoptionTests } from './adopt.ts';

adoptionTests('a cluster of static pods', (lab) => startPodCluster(lab, console.log));
