/** What was proved is doubted when its own log complains; the next pass of the reconciler proves it anew. */
import type { MessageInitShape } from '@bufbuild/protobuf';
import { components } from '../../common/names/names.ts';
import type { TlsObservationSchema } from '../../proto/gen/kubemtls/v1/agent_pb.js';
import type { StatusBoard } from './status-board.ts';

/**
 * Marks a verified component as degraded when the failure is about its own certificate or file, as the server does that is told of
 * it: on either side alone it would stay so, or never be looked at again.
 */
export function doubt(board: StatusBoard, seen: MessageInitShape<typeof TlsObservationSchema>): void {
  const component = components.toWord(seen.component ?? 0);
  if (component === undefined || seen.fault !== 'own' || board.get(component)?.state !== 'verified') return;
  board.set(component, { state: 'degraded', reason: `${seen.cause}: ${seen.line}` });
}
