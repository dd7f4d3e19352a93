/** AuthorityService: the CAs of the cluster, the change of their roots, and the end of a node. */
import { AppError } from '../../common/errors/app-error.ts';
import { authorities as authorityWords, type RotationPhase, rotationPhases } from '../../common/names/names.ts';
import type { Handlers } from '../../common/rpc/handlers.ts';
import type { AuthorityService, StartAuthorityRotationRequest } from '../../proto/gen/kubemtls/v1/authority_pb.js';
import type { RotationPhase as PhaseNumber } from '../../proto/gen/kubemtls/v1/types_pb.js';
import type { Authorities } from '../authority/authorities.ts';
import type { ClusterAuthority } from '../authority/import-authority.ts';
import { actorOf, type Caller } from '../caller.ts';
import type { By, Rotation } from '../rotation/rotation.ts';
import { certificateMessages, rotationMessage } from '../rotation/rotation-message.ts';

/** What the service needs. */
export interface AuthorityServiceDeps {
  authorities: Pick<Authorities, 'all'>;
  rotation: Rotation;
  /** See remove-node.ts. */
  removeNode: (name: string, by: By) => Promise<string[]>;
}

const ALL: readonly ClusterAuthority[] = ['kubernetes', 'etcd', 'front-proxy'];

/** The service; viewers look, administrators with the role admin change. */
export function authorityService(deps: AuthorityServiceDeps): Handlers<typeof AuthorityService.method, Caller> {
  const { rotation } = deps;
  return {
    listAuthorities: async () => ({ certificates: certificateMessages(deps.authorities) }),
    getAuthorityRotation: async () => ({ rotation: rotationMessage(await rotation.show()) }),
    async startAuthorityRotation(request, call, caller) {
      const wish = { authorities: wishedFor(request), automatic: request.automatic };
      const view = await rotation.start(wish, { actor: actorOf(caller), source: call.address });
      return { rotation: rotationMessage(view) };
    },
    async advanceAuthorityRotation({ from }, call, caller) {
      const view = await rotation.advance(phaseOf(from), { actor: actorOf(caller), source: call.address });
      return { rotation: rotationMessage(view) };
    },
    async abortAuthorityRotation({ from }, call, caller) {
      const view = await rotation.abort(phaseOf(from), { actor: actorOf(caller), source: call.address });
      return { rotation: rotationMessage(view) };
    },
    async removeNode({ name }, call, caller) {
      return { warnings: await deps.removeNode(name, { actor: actorOf(caller), source: call.address }) };
    },
  };
}

function phaseOf(number: PhaseNumber): RotationPhase {
  const phase = rotationPhases.toWord(number);
  if (phase === undefined) {
    throw new AppError('invalid-request', 'from is no phase: give the one that is under way, TRUST, REISSUE or DROP');
  }
  return phase;
}

function wishedFor({ authorities }: StartAuthorityRotationRequest): ClusterAuthority[] {
  if (authorities.length === 0) return [...ALL];
  const words = authorities.map((number) => {
    const word = authorityWords.toWord(number);
    if (word === undefined)
      throw new AppError('invalid-request', 'one of the authorities is none that this server has');
    if (word === 'fleet') {
      const text =
        'the fleet CA is pinned by every agent and cannot be changed this way: name kubernetes, etcd or front-proxy';
      throw new AppError('invalid-request', text);
    }
    return word;
  });
  return ALL.filter((authority) => words.includes(authority));
}
