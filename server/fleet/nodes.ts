/** Nodes: all by name, and one of them whole. */
import { fromBinary, type MessageInitShape } from '@bufbuild/protobuf';
import { durationFromMs, timestampFromMs } from '@bufbuild/protobuf/wkt';
import { AppError } from '../../common/errors/app-error.ts';
import { components, roles } from '../../common/names/names.ts';
import { InventorySchema } from '../../proto/gen/kubemtls/v1/agent_pb.js';
import type {
  GetNodeResponseSchema,
  GetVerificationRequest,
  GetVerificationResponseSchema,
  ListNodesRequest,
  ListNodesResponseSchema,
} from '../../proto/gen/kubemtls/v1/fleet_pb.js';
import { nextPageToken, readPage } from './paging.ts';
import { type FleetDeps, nodeSummary, skewMs } from './summaries.ts';

/** Answers ListNodes. */
export async function listNodes(
  request: ListNodesRequest,
  deps: FleetDeps,
): Promise<MessageInitShape<typeof ListNodesResponseSchema>> {
  const { size, after } = readPage(request.page);
  const rows = (await deps.store.listNodes()).filter(
    (node) =>
      (request.role === 0 || roles.toNumber(node.role) === request.role) &&
      (request.componentState === 0 ||
        deps.fleet.statusesOf(node.name).some((status) => status.state === request.componentState)) &&
      (after === undefined || node.name > after),
  );
  const page = rows.slice(0, size);
  const next = rows.length > size ? page.at(-1)?.name : undefined;
  return { nodes: page.map((node) => nodeSummary(node, deps)), nextPageToken: nextPageToken(next) };
}

/** Answers GetNode. Rejects 'not-found'. */
export async function getNode(name: string, deps: FleetDeps): Promise<MessageInitShape<typeof GetNodeResponseSchema>> {
  const node = await deps.store.getNode(name);
  if (node === undefined) throw unknownNode(name);
  const inventory = await deps.store.getInventory(name);
  const skew = skewMs(node, deps);
  return {
    node: nodeSummary(node, deps),
    components: deps.fleet.statusesOf(name),
    certificates: inventory === undefined ? [] : fromBinary(InventorySchema, inventory).certificates,
    enrolledAt: timestampFromMs(node.enrolledAtMs),
    identitySerial: node.identitySerial,
    identityNotAfter: timestampFromMs(node.identityNotAfterMs),
    ...(skew === undefined ? {} : { clockSkew: durationFromMs(skew) }),
  };
}

/** Answers GetVerification. Rejects 'not-found'. */
export async function getVerification(
  request: GetVerificationRequest,
  deps: FleetDeps,
): Promise<MessageInitShape<typeof GetVerificationResponseSchema>> {
  const component = components.toWord(request.component);
  if (component === undefined) throw new AppError('invalid-request', 'name a component');
  if ((await deps.store.getNode(request.node)) === undefined) throw unknownNode(request.node);
  const status = deps.fleet.get(request.node, component);
  if (status === undefined) {
    throw new AppError('not-found', `${request.node} has reported no ${component}; is its agent running?`);
  }
  return { status };
}

function unknownNode(name: string): AppError {
  return new AppError('not-found', `there is no node ${name}; "kube-mtls nodes" lists them`);
}
