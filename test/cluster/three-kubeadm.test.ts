import { startKubeadmCluster } from '../lab/clusters.ts';
import { threeControlPlanesTests } from './three-control-planes.ts';

threeControlPlanesTests('three control planes of kubeadm init and join behind one address', startKubeadmCluster);
