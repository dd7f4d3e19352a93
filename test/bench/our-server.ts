/** kube-mtls-server as it is installed, in a process of its own: real files, SQLite on disk, both listeners on 127.0.0.1. */
import { appendFile, readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { makeFolder } from '../../common/files/durable.ts';
import type { Role } from '../../common/names/names.ts';
import { type Connection, openConnection } from '../../common/rpc/connection.ts';
import { systemClock } from '../../common/time/clock.ts';
import { parseCsr } from '../../common/x509/csr.ts';
import { generateKey } from '../../common/x509/keys.ts';
import { loadAuthorities } from '../../server/authority/authorities.ts';
import { loadServerConfig } from '../../server/config/server-config.ts';
import { databaseFile, type ServerLayout, serverLayoutBelow } from '../../server/config/server-layout.ts';
import { init } from '../../server/init/init.ts';
import { signApprovals } from '../../server/issue/sign-approvals.ts';
import { approveIdentity } from '../../server/policy/approve.ts';
import { openSqliteStore } from '../../server/store/sqlite-store.ts';
import { type Credentials, csrOf } from '../integration/server-fixture.ts';
import { freePort, startProgram } from './program.ts';

/** The server. */
export interface OurServer {
  pid: number;
  /** Of the listener for strangers, on 127.0.0.1. */
  bootstrapPort: number;
  /** The first administrator. */
  admin: Credentials;
  /** Of the nodes that were enrolled before it started: "bench-0", … */
  identities: Credentials[];
  /** A connection to the fleet listener; the caller closes it. */
  connect(credentials: Credentials): Connection;
  stop(): Promise<void>;
}

const MAIN = join(import.meta.dirname, '../../server/main.ts');

/** Initialises a server below the folder, enrols so many nodes of a role, and starts it: its process has served nobody yet. */
export async function startOurServer(
  folder: string,
  nodes: { count: number; role: Role },
  signal: AbortSignal,
): Promise<OurServer> {
  const layout = serverLayoutBelow(folder);
  await makeFolder(dirname(layout.stateFolder), { mode: 0o755 });
  const options = { cluster: 'bench', apiEndpoint: '127.0.0.1:6443', serviceCidr: '10.96.0.0/12' };
  const more = { dnsDomain: 'cluster.local', adopt: undefined, advertise: ['127.0.0.1'] };
  const run = async () => ({ code: 2, stdout: '', stderr: '' }); // there is no user kube-mtls: the files stay ours
  const machine = { hostname: 'localhost', addresses: ['127.0.0.1'] };
  await init({ ...options, ...more }, { layout, run, clock: systemClock, machine });
  const [bootstrap, fleet] = [await freePort(), await freePort()];
  await appendFile(
    layout.configFile,
    `passphraseFile: ${layout.passphraseFile}\nlisten: {bootstrap: "127.0.0.1:${bootstrap}", fleet: "127.0.0.1:${fleet}"}\n`,
  );
  const identities = await enrolBefore(layout, nodes, signal);

  const { pid, stop } = await startProgram(
    [process.execPath, MAIN, '--config', layout.configFile, 'run'],
    fleet,
    signal,
  );
  const file = (name: string) => readFile(join(layout.adminFolder, name), 'utf8');
  const [rootsPem, certPem, keyPem] = [await file('ca.crt'), await file('admin.crt'), await file('admin.key')];
  return {
    pid,
    bootstrapPort: bootstrap,
    admin: { certPem, keyPem },
    identities,
    connect: (credentials) => openConnection({ address: `127.0.0.1:${fleet}`, rootsPem, ...credentials }),
    stop,
  };
}

/** What EnrollNode leaves behind, without its tokens: enrolling is not measured, and hundreds of calls take their time. */
async function enrolBefore(
  layout: ServerLayout,
  { count, role }: { count: number; role: Role },
  signal: AbortSignal,
): Promise<Credentials[]> {
  const config = await loadServerConfig(layout.configFile);
  const authorities = await loadAuthorities(config.stateFolder, (await readFile(layout.passphraseFile, 'utf8')).trim());
  const store = openSqliteStore(databaseFile(config.stateFolder), systemClock);
  try {
    const nowMs = systemClock.nowMs();
    const identities: Credentials[] = [];
    for (let index = 0; index < count; index++) {
      signal.throwIfAborted();
      const name = `bench-${index}`;
      const key = await generateKey('ecdsa-p256');
      const csr = parseCsr(csrOf(key));
      const wish = { node: { name, revoked: false }, csr, keyHolder: undefined };
      const approval = approveIdentity(wish, { config, authorities, nowMs });
      const by = { actor: 'bench', source: '', changeId: '' };
      const [signed] = await signApprovals({ store, authorities }, [approval], by);
      if (signed === undefined) throw new TypeError('one approval gives one certificate');
      const { pem, serial, notAfter } = signed.certificate;
      const identity = {
        identityPin: csr.publicKeyPin,
        identitySerial: serial,
        identityBefore: '',
        identityNotAfterMs: notAfter.getTime(),
      };
      const seen = {
        enrolledAtMs: nowMs,
        lastSeenAtMs: nowMs,
        agentVersion: '',
        mode: undefined,
        clockSkewMs: undefined,
      };
      const addresses = [`10.9.${index >> 8}.${index & 255}`];
      await store.enrol({
        node: { name, role, addresses, tokenId: 'bench', revoked: false, ...identity, ...seen },
        useToken: undefined,
      });
      identities.push({ certPem: pem, keyPem: key.pem });
    }
    return identities;
  } finally {
    await store.close();
  }
}
