/** Which service is on which listener. */
import type { Server } from '@grpc/grpc-js';
import { addService, type ServiceOptions } from '../../common/rpc/handlers.ts';
import { addHealth } from '../../common/rpc/health.ts';
import { addReflection } from '../../common/rpc/reflection.ts';
import { Health } from '../../proto/gen/grpc/health/v1/health_pb.js';
import { AgentService } from '../../proto/gen/kubemtls/v1/agent_pb.js';
import { AuthorityService } from '../../proto/gen/kubemtls/v1/authority_pb.js';
import { CertificateService } from '../../proto/gen/kubemtls/v1/certificate_pb.js';
import { EnrollmentService } from '../../proto/gen/kubemtls/v1/enrollment_pb.js';
import { FleetService } from '../../proto/gen/kubemtls/v1/fleet_pb.js';
import { RolloutService } from '../../proto/gen/kubemtls/v1/rollout_pb.js';
import { TokenService } from '../../proto/gen/kubemtls/v1/token_pb.js';
import { createAdmit } from '../authenticate.ts';
import type { ServerDeps } from '../build-deps.ts';
import { actorOf, type Caller } from '../caller.ts';
import { agentService } from './agent-service.ts';
import { authorityService } from './authority-service.ts';
import { certificateService } from './certificate-service.ts';
import { enrollmentService } from './enrollment-service.ts';
import { fleetService } from './fleet-service.ts';
import { rolloutService } from './rollout-service.ts';
import { tokenService } from './token-service.ts';

const FLEET = [AgentService, AuthorityService, CertificateService, FleetService, TokenService, RolloutService] as const;

/** The bootstrap listener: enrolment, and nothing that a stranger could use. */
export function registerBootstrap(server: Server, deps: ServerDeps, serving: () => boolean): void {
  const admit = async () => undefined; // the request looks at its token
  addService(server, EnrollmentService, enrollmentService(deps), { admit, actorOf: () => '', ...sharedOf(deps) });
  addHealth(server, [EnrollmentService.typeName], serving);
}

/** The fleet listener: everything else, behind mutual TLS and the table of roles. */
export function registerFleet(server: Server, deps: ServerDeps, serving: () => boolean): void {
  const options: ServiceOptions<Caller> = { admit: createAdmit(deps), actorOf, ...sharedOf(deps) };
  addService(server, AgentService, agentService(deps), options);
  addService(server, AuthorityService, authorityService(deps), options);
  addService(server, CertificateService, certificateService(deps), options);
  addService(server, FleetService, fleetService(deps), options);
  addService(server, TokenService, tokenService(deps), options);
  addService(server, RolloutService, rolloutService(deps), options);
  const names = FLEET.map((service) => service.typeName);
  addHealth(server, names, serving);
  addReflection(server, [...names, Health.typeName], [...FLEET.map((service) => service.file), Health.file]);
}

function sharedOf(deps: ServerDeps): Pick<ServiceOptions<unknown>, 'elapsed' | 'log'> {
  return { elapsed: () => performance.now(), log: deps.log };
}
