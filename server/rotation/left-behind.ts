/** Certificates that nodes refer to, that come from a root which is replaced, and that kube-mtls does not replace. Pure. */
import type { NodeCertificate } from '../../proto/gen/kubemtls/v1/types_pb.js';
import type { RotationRecord } from '../store/store.ts';

/** What a node said of its certificates. */
export interface NodeInventory {
  node: string;
  certificates: readonly Pick<NodeCertificate, 'path' | 'consumer' | 'managed' | 'issuerPin'>[];
}

/**
 * A sentence each, while the phase reissue is under way: before it they are mostly such as will be replaced, and after it the root is
 * gone. Nobody but the operator knows which of them are still needed.
 */
export function leftBehind(
  { phase, authorities, lines }: RotationRecord,
  inventories: readonly NodeInventory[],
): string[] {
  if (phase !== 'reissue') return [];
  const replaced = new Map(
    lines
      .filter(({ authority }) => authorities.some((each) => each === authority))
      .flatMap(({ authority, old: [pin] }) => (pin === undefined ? [] : [[pin, authority] as const])),
  );
  return inventories.flatMap(({ node, certificates }) =>
    certificates.flatMap(({ path, consumer, managed, issuerPin }) => {
      const authority = replaced.get(issuerPin);
      if (managed || consumer === '' || authority === undefined) return [];
      return [`${node}: ${consumer} (${path}) comes from the old ${authority} CA, and kube-mtls does not replace it`];
    }),
  );
}
