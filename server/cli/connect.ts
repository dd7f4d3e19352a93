/** Where the operator's command line finds the server and its own credentials. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { AppError, messageOf } from '../../common/errors/app-error.ts';
import { createClient, type ServiceClient } from '../../common/rpc/client.ts';
import { openConnection, type Transport } from '../../common/rpc/connection.ts';
import { type Certificate, parseCertificate } from '../../common/x509/certificate.ts';
import { lifeAtMs } from '../../common/x509/life.ts';
import { AuthorityService } from '../../proto/gen/kubemtls/v1/authority_pb.js';
import { FleetService } from '../../proto/gen/kubemtls/v1/fleet_pb.js';
import { RolloutService } from '../../proto/gen/kubemtls/v1/rollout_pb.js';
import { TokenService } from '../../proto/gen/kubemtls/v1/token_pb.js';
import { formatEndpoint, parseEndpoint } from '../config/endpoints.ts';
import { loadServerConfig } from '../config/server-config.ts';

/** Options that every command has. */
export interface ConnectOptions {
  /** HOST:PORT of the fleet listener; undefined: the server of this machine. */
  server?: string | undefined;
  /** Folder with ca.crt, admin.crt and admin.key. */
  credentials: string;
  /** Configuration of the server of this machine. */
  config: string;
}

/** The services for operators. */
export interface Operator {
  authorities: ServiceClient<typeof AuthorityService.method>;
  fleet: ServiceClient<typeof FleetService.method>;
  tokens: ServiceClient<typeof TokenService.method>;
  rollout: ServiceClient<typeof RolloutService.method>;
  /** What the operator should do about the credentials; undefined while they last. */
  notice: string | undefined;
  close(): void;
}

const FLEET_PORT = 9444;

/**
 * Connects with the first call.
 *
 * @param nowMs milliseconds since the epoch
 * @throws AppError 'unauthenticated' when the credentials cannot be read, or have ended
 */
export async function connectOperator(options: ConnectOptions, nowMs: number): Promise<Operator> {
  const folder = options.credentials;
  const rootsPem = await readCredential(join(folder, 'ca.crt'));
  const certPem = await readCredential(join(folder, 'admin.crt'));
  const keyPem = await readCredential(join(folder, 'admin.key'));
  const notice = endingOf(certPem, join(folder, 'admin.crt'), nowMs);
  const connection = openConnection({ ...(await placeOf(options)), rootsPem, certPem, keyPem });
  return {
    authorities: createClient(AuthorityService, connection),
    fleet: createClient(FleetService, connection),
    tokens: createClient(TokenService, connection),
    rollout: createClient(RolloutService, connection),
    notice,
    close: () => connection.close(),
  };
}

/** From two thirds of its life on, when init replaces it. */
function endingOf(certPem: string, path: string, nowMs: number): string | undefined {
  const { notBefore, notAfter } = readCertificate(certPem, path);
  const next = 'run the "kube-mtls-server init" of this fleet again on the server, it makes another';
  const end = notAfter.toISOString();
  if (nowMs > notAfter.getTime()) throw new AppError('unauthenticated', `${path} ended ${end}: ${next}`);
  return nowMs > lifeAtMs({ notBefore, notAfter }, 2 / 3) ? `${path} ends ${end}: ${next}` : undefined;
}

function readCertificate(certPem: string, path: string): Certificate {
  try {
    return parseCertificate(certPem);
  } catch (error) {
    throw new AppError('unauthenticated', `${path} holds no certificate: ${messageOf(error)}`, { cause: error });
  }
}

/** Given, the address alone counts; else the configuration tells the port, and the name in the server's certificate. */
async function placeOf(options: ConnectOptions): Promise<Pick<Transport, 'address' | 'serverName'>> {
  if (options.server !== undefined) {
    const hasPort = /:\d+$/.test(options.server);
    return { address: formatEndpoint(parseEndpoint(hasPort ? options.server : `${options.server}:${FLEET_PORT}`)) };
  }
  try {
    const { listen, advertise } = await loadServerConfig(options.config);
    const { host, port } = listen.fleet;
    const anywhere = host === '0.0.0.0' || host === '::';
    return { address: formatEndpoint({ host: anywhere ? '127.0.0.1' : host, port }), serverName: advertise[0] };
  } catch (error) {
    if (AppError.from(error).reason !== 'not-found') throw error;
    return { address: `localhost:${FLEET_PORT}` };
  }
}

async function readCredential(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    const text = `cannot read ${path}: ${messageOf(error)}; run this as root on the server, or name a folder with --credentials`;
    throw new AppError('unauthenticated', text, { cause: error });
  }
}
