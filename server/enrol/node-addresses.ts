/** The addresses that a node is recorded with: those that the operator gave, or the one that its connection showed. */
import { AppError } from '../../common/errors/app-error.ts';
import { canonicalIp } from '../../common/x509/ip-address.ts';
import type { NodeRecord, TokenRecord } from '../store/store.ts';
import { isReachableAddress } from '../token/source-network.ts';

/**
 * The addresses for a node. What a connection shows is refused where another node is at home: behind a translated or shared
 * address, one node could get certificates for another.
 *
 * @param source IP address of the peer
 * @throws AppError policy-refused telling to make the token with --address
 */
export function nodeAddresses(
  nodeName: string,
  token: TokenRecord,
  source: string,
  nodes: readonly NodeRecord[],
): string[] {
  if (token.addresses.length > 0) return [...token.addresses];
  const again = `make the token with --address ADDRESS, the one at which ${nodeName} is reached`;
  const address = canonicalIp(source);
  if (address === undefined || !isReachableAddress(address)) {
    throw new AppError(
      'policy-refused',
      `the connection comes from ${source}, which is no address of the node: ${again}`,
    );
  }
  const other = nodes.find((node) => !node.revoked && node.name !== nodeName && node.addresses.includes(address));
  if (other !== undefined) {
    throw new AppError(
      'policy-refused',
      `the connection comes from ${source}, which is the node ${other.name}: ${again}`,
    );
  }
  return [address];
}
