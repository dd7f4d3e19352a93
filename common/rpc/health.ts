/** grpc.health.v1, the unary part: whether a listener serves. */
import type { Server } from '@grpc/grpc-js';
import { Health, HealthCheckResponse_ServingStatus as Serving } from '../../proto/gen/grpc/health/v1/health_pb.js';
import { AppError } from '../errors/app-error.ts';
import { silentLog } from '../log/log.ts';
import { addService } from './handlers.ts';

/**
 * Adds the health service. Anybody who gets through TLS may ask; answers are not logged, load balancers ask often.
 *
 * @param services - full names of the services of the listener
 * @param serving - false while the listener is about to stop
 */
export function addHealth(server: Server, services: readonly string[], serving: () => boolean): void {
  const handlers = {
    async check(request: { service: string }) {
      if (request.service !== '' && !services.includes(request.service)) {
        throw new AppError('not-found', 'there is no such service here');
      }
      return { status: serving() ? Serving.SERVING : Serving.NOT_SERVING };
    },
  };
  const anybody = { admit: async () => undefined, actorOf: () => '', elapsed: () => 0, log: silentLog };
  addService(server, Health, handlers, anybody);
}
