/** A whole server for tests: real files, real store, real CAs, real mutual TLS on localhost, on any free ports. */
import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { connect } from 'node:tls';
import { AppError } from '../../common/errors/app-error.ts';
import { makeFolder } from '../../common/files/durable.ts';
import type { LogFields } from '../../common/log/fields.ts';
import { type Log, silentLog } from '../../common/log/log.ts';
import type { Profile, Role } from '../../common/names/names.ts';
import { profiles, roles } from '../../common/names/names.ts';
import { type CallOptions, createClient } from '../../common/rpc/client.ts';
import { type Connection, openConnection } from '../../common/rpc/connection.ts';
import { type Clock, systemClock } from '../../common/time/clock.ts';
import { createCsr } from '../../common/x509/csr.ts';
import { generateKey, type PrivateKey } from '../../common/x509/keys.ts';
import { fewIterations } from '../../common/x509/x509-for-tests.ts';
import { AgentService } from '../../proto/gen/kubemtls/v1/agent_pb.js';
import { AuthorityService } from '../../proto/gen/kubemtls/v1/authority_pb.js';
import { CertificateService } from '../../proto/gen/kubemtls/v1/certificate_pb.js';
import { EnrollmentService } from '../../proto/gen/kubemtls/v1/enrollment_pb.js';
import { FleetService } from '../../proto/gen/kubemtls/v1/fleet_pb.js';
import { RolloutService } from '../../proto/gen/kubemtls/v1/rollout_pb.js';
import { TokenService } from '../../proto/gen/kubemtls/v1/token_pb.js';
import type { Authorities } from '../../server/authority/authorities.ts';
import type { AdminRole } from '../../server/caller.ts';
import { parseServerConfig } from '../../server/config/server-config.ts';
import { serverLayoutBelow } from '../../server/config/server-layout.ts';
import { init } from '../../server/init/init.ts';
import { signApprovals } from '../../server/issue/sign-approvals.ts';
import { type ServerLimits, serverLimits } from '../../server/listener-limits.ts';
import { openServer } from '../../server/open-server.ts';
import { approveAdmin } from '../../server/policy/approve.ts';
import type { Store } from '../../server/store/store.ts';

/** A certificate with its key, as files hold them. */
export interface Credentials {
  certPem: string;
  keyPem: string;
}

/** All services over one connection. */
export type Clients = ReturnType<typeof clientsOf>;

/** The server under test. */
export interface TestServer {
  folder: string;
  /** Files of the first administrator, root, as init made them. */
  adminFolder: string;
  /** Store, authorities and ports are those of the server that runs now. */
  readonly store: Store;
  readonly authorities: Authorities;
  readonly bootstrapPort: number;
  readonly fleetPort: number;
  /** What was logged. */
  logged: [string, LogFields][];
  /** Makes an administrator. */
  admin(name: string, role: AdminRole): Promise<Credentials>;
  /** Services as seen with these credentials; closed with the server. */
  connect(credentials: Credentials | undefined, port?: number): Clients;
  /** Creates a token as an operator, and enrols with it; a connection over loopback shows no address that a node can have. */
  enrol(name: string, role: Role, addresses?: string[]): Promise<Credentials>;
  /** Stops it as systemd does; what it knows stays on disk. */
  stop(): Promise<void>;
  /** Starts it again from there, on other ports unless it was given some. */
  start(): Promise<void>;
  close(): Promise<void>;
}

/** What is other than in a real server. */
export interface TestServerOptions {
  /** Makes its limits small enough to be met. */
  limits?: (real: ServerLimits) => ServerLimits;
  clock?: Clock;
  /** HOST:PORT of the cluster's API server. */
  apiEndpoint?: string;
  /** Where it listens; any free ports unless given. Nodes that really join are told the port of the fleet listener. */
  ports?: { bootstrap: number; fleet: number };
  /** Folder for its files; default the one for temporary files. */
  parent?: string;
}

/** Initialises and starts it; `yaml` is added to the configuration that init wrote. */
export async function startTestServer(
  yaml = '',
  {
    limits = (real) => real,
    clock = systemClock,
    apiEndpoint = '127.0.0.1:6443',
    ports = { bootstrap: 0, fleet: 0 },
    parent = tmpdir(),
  }: TestServerOptions = {},
): Promise<TestServer> {
  const folder = await mkdtemp(join(parent, 'kube-mtls-server-'));
  const layout = serverLayoutBelow(folder);
  await makeFolder(dirname(layout.stateFolder), { mode: 0o755 });
  const machine = { hostname: 'localhost', addresses: ['127.0.0.1'] };
  const noSuchUser = async () => ({ code: 2, stdout: '', stderr: '' });
  const options = {
    cluster: 'lab',
    apiEndpoint,
    serviceCidr: '10.96.0.0/12',
    dnsDomain: 'cluster.local',
    adopt: undefined,
    advertise: ['127.0.0.1'],
  };
  await init(options, { layout, run: noSuchUser, clock, machine, keyIterations: fewIterations });
  const text = (await readFile(layout.configFile, 'utf8')) + yaml;
  const at = (port: number) => ({ host: '127.0.0.1', port });
  const listen = { bootstrap: at(ports.bootstrap), fleet: at(ports.fleet) };
  const config = { ...parseServerConfig(text, layout.configFile), listen };
  const passphrase = (await readFile(layout.passphraseFile, 'utf8')).trim();
  const logged: [string, LogFields][] = [];
  const note = (message: string, fields: LogFields = {}) => void logged.push([message, fields]);
  const log: Log = { ...silentLog, info: note, warn: note, error: note, debug: note };
  const open = async () => {
    const { hostname } = machine;
    const server = await openServer({
      ...{ config, passphrase, keyIterations: fewIterations, hostname, clock, log },
      limits: limits(serverLimits(config)),
    });
    const stop = new AbortController();
    return { ...server, stop, over: server.run(stop.signal) };
  };
  let running = await open();
  const connections: Connection[] = [];
  let enrolled = 0;

  const server: TestServer = {
    folder,
    adminFolder: layout.adminFolder,
    get store() {
      return running.store;
    },
    get authorities() {
      return running.authorities;
    },
    get bootstrapPort() {
      return running.bootstrapPort;
    },
    get fleetPort() {
      return running.fleetPort;
    },
    logged,
    async admin(name, role) {
      const { store, authorities } = running;
      const key = await generateKey('ecdsa-p256');
      const context = { config, authorities, nowMs: clock.nowMs() };
      const approval = approveAdmin({ name, publicKey: key.publicKey }, context);
      const by = { actor: 'test', source: '', changeId: '' };
      const [signed] = await signApprovals({ store, authorities }, [approval], by);
      assert.ok(signed);
      const { certificate } = signed;
      await store.putAdmin({ name, role, serial: certificate.serial });
      return { certPem: certificate.pem, keyPem: key.pem };
    },
    connect(credentials, port = running.fleetPort) {
      const rootsPem = running.authorities.rootsPem('fleet');
      const connection = openConnection({ address: `127.0.0.1:${port}`, rootsPem, ...credentials });
      connections.push(connection);
      return clientsOf(connection);
    },
    async enrol(name, role, addresses = [`10.9.0.${++enrolled}`]) {
      const operator = server.connect(await server.admin('enroller', 'operator'));
      const { token } = await operator.tokens.createToken({ role: roles.toNumber(role), nodeNames: [name], addresses });
      const key = await generateKey('ecdsa-p256');
      const { enrolment } = server.connect(undefined, running.bootstrapPort);
      const request = { nodeName: name, csr: csrOf(key), agentVersion: '0.1.0' };
      const answer = await enrolment.enrollNode(request, bearer(token));
      return { certPem: answer.certificatePem, keyPem: key.pem };
    },
    async stop() {
      running.stop.abort();
      await running.over;
    },
    async start() {
      running = await open();
    },
    async close() {
      for (const connection of connections) connection.close();
      await server.stop();
      await rm(folder, { recursive: true });
    },
  };
  return server;
}

/** Call options that carry a bootstrap token. */
export function bearer(token: string): CallOptions {
  return { headers: { authorization: `Bearer ${token}` } };
}

/** A request for the key, without names. */
export function csrOf(key: PrivateKey): Uint8Array {
  return Buffer.from(createCsr(key, { commonName: 'any' }));
}

/** A request for a certificate of a profile, for a new key. */
export async function wishFor(profile: Profile): Promise<{ profile: number; csr: Uint8Array }> {
  return { profile: profiles.toNumber(profile), csr: csrOf(await generateKey('ecdsa-p256')) };
}

/** The AppError that a call must end with. */
export async function failureOf(call: Promise<unknown>): Promise<AppError> {
  const error = await call.then(
    () => new Error('it should have been refused'),
    (thrown: unknown) => thrown,
  );
  if (error instanceof AppError) return error;
  throw error;
}

/** What a raw TLS client meets that speaks HTTP/2 to the fleet listener. */
export type Http2Greeting =
  /** So many bytes of HTTP/2. */
  | { kind: 'bytes'; count: number }
  /** An alert of TLS: OpenSSL ended the handshake, as for a client without a certificate. */
  | { kind: 'refused'; alert: string }
  /** The connection ended after a handshake, without an alert and without a byte: Node.js looks at a certificate only then. */
  | { kind: 'closed' }
  /** Anything else: nobody listens, or the client does not trust the server. */
  | { kind: 'error'; why: string };

/** Greets the fleet listener of a server, whose roots are trusted, over TLS. */
export function greetOverHttp2(
  { fleetPort, authorities }: Pick<TestServer, 'fleetPort' | 'authorities'>,
  credentials: Credentials | undefined,
): Promise<Http2Greeting> {
  return new Promise((resolve) => {
    let isSecure = false;
    const socket = connect({
      host: '127.0.0.1',
      port: fleetPort,
      ca: authorities.rootsPem('fleet'),
      ALPNProtocols: ['h2'],
      ...(credentials === undefined ? {} : { cert: credentials.certPem, key: credentials.keyPem }),
    });
    socket.on('secureConnect', () => {
      isSecure = true;
      socket.write('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0');
    });
    socket.on('error', (error: NodeJS.ErrnoException) => {
      // with TLS 1.3 the client is done before the server has looked at its certificate
      const alert = /^ERR_SSL_TLSV1_ALERT_(\w+)$|^ERR_SSL_(?:TLSV13|SSLV3)_ALERT_(\w+)$/.exec(error.code ?? '');
      if (isSecure && alert !== null) resolve({ kind: 'refused', alert: alert[1] ?? alert[2] ?? '' });
      else if (isSecure && ['ECONNRESET', 'EPIPE'].includes(error.code ?? '')) resolve({ kind: 'closed' });
      else resolve({ kind: 'error', why: `${error.code}: ${error.message}` });
    });
    socket.on('close', () =>
      resolve(isSecure ? { kind: 'closed' } : { kind: 'error', why: 'closed in the handshake' }),
    );
    socket.on('data', (data: Buffer) => {
      resolve({ kind: 'bytes', count: data.length });
      socket.destroy();
    });
  });
}

function clientsOf(connection: Connection) {
  return {
    connection,
    enrolment: createClient(EnrollmentService, connection),
    certificates: createClient(CertificateService, connection),
    agent: createClient(AgentService, connection),
    fleet: createClient(FleetService, connection),
    tokens: createClient(TokenService, connection),
    rollout: createClient(RolloutService, connection),
    authorities: createClient(AuthorityService, connection),
  };
}
