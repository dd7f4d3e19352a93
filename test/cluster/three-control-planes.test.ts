import { startThreeControlPlanes } from '../lab/clusters.ts';
import { threeControlPlanesTests } from './three-control-planes.ts';

threeControlPlanesTests('three control planes of units behind one address', startThreeControlPlanes);
