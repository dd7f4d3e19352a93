/** The roots that a node's components have to trust. */
import { create } from '@bufbuild/protobuf';
import { type Authority, type Role, rotationPhases, authorities as words } from '../../common/names/names.ts';
import {
  type GetTrustBundlesResponse,
  GetTrustBundlesResponseSchema,
} from '../../proto/gen/kubemtls/v1/certificate_pb.js';
import { type TrustBundle, TrustBundleSchema } from '../../proto/gen/kubemtls/v1/types_pb.js';
import type { Authorities } from '../authority/authorities.ts';
import type { Caller } from '../caller.ts';
import { callingNode, type IssueDeps } from './issue-deps.ts';

const known: Record<Role, readonly Authority[]> = {
  'control-plane': ['kubernetes', 'etcd', 'front-proxy'],
  worker: ['kubernetes'],
  etcd: ['etcd'],
};

/** Answers GetTrustBundles. Rejects as callingNode. */
export async function getTrustBundles(deps: IssueDeps, caller: Caller): Promise<GetTrustBundlesResponse> {
  const node = await callingNode(deps, caller);
  return create(GetTrustBundlesResponseSchema, { bundles: trustBundles(deps.authorities, node.role) });
}

/** The bundles for a role. */
export function trustBundles(authorities: Authorities, role: Role): TrustBundle[] {
  return known[role].map((authority) =>
    create(TrustBundleSchema, {
      authority: words.toNumber(authority),
      rootsPem: authorities.rootsPem(authority),
      phase: rotationPhases.toNumber(authorities.phase(authority)),
      issuingPin: authorities.issuingPin(authority),
      retiredRootsPem: authorities.retiredPem(authority),
    }),
  );
}
