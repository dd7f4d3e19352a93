/** FleetService: what operators ask. */
import type { Handlers } from '../../common/rpc/handlers.ts';
import type { FleetService } from '../../proto/gen/kubemtls/v1/fleet_pb.js';
import type { Caller } from '../caller.ts';
import { type FleetStatusDeps, getFleetStatus } from '../fleet/get-fleet-status.ts';
import { listCertificates } from '../fleet/list-certificates.ts';
import { listEvents } from '../fleet/list-events.ts';
import { getNode, getVerification, listNodes } from '../fleet/nodes.ts';

/** The service; every caller is a viewer at least. */
export function fleetService(deps: FleetStatusDeps): Handlers<typeof FleetService.method, Caller> {
  return {
    getFleetStatus: () => getFleetStatus(deps),
    listNodes: (request) => listNodes(request, deps),
    getNode: (request) => getNode(request.name, deps),
    listCertificates: (request) => listCertificates(request, deps),
    getVerification: (request) => getVerification(request, deps),
    listEvents: (request) => listEvents(request, deps),
  };
}
