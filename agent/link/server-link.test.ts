import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it, type TestContext } from 'node:test';
import { silentLog } from '../../common/log/log.ts';
import { addService } from '../../common/rpc/handlers.ts';
import { type Listener, openListener } from '../../common/rpc/listener.ts';
import { FakeClock } from '../../common/time/fake-clock.ts';
import { until } from '../../common/time/until-for-tests.ts';
import { parseCertificate } from '../../common/x509/certificate.ts';
import { AgentService } from '../../proto/gen/kubemtls/v1/agent_pb.js';
import { saveIdentity } from '../enrol/identity.ts';
import { layoutBelow } from '../layout.ts';
import { type TestAuthority, testAuthority } from '../verify/pki-for-tests.ts';
import { createServerLink } from './server-link.ts';

const parent = mkdtempSync(join(tmpdir(), 'kube-mtls-link-'));
let fleet: TestAuthority;
let listener: Listener;
/** Serials of the callers of AcquireRestartPermit, and what lets those with the reason "wait" go on. */
const callers: string[] = [];
let release: () => void = () => {};

before(async () => {
  fleet = await testAuthority('fleet');
  const leaf = await fleet.issue();
  listener = await openListener({
    host: '127.0.0.1',
    port: 0,
    tls: { certPem: leaf.certPem, keyPem: leaf.keyPem, clientRootsPem: fleet.rootsPem },
    log: silentLog,
    register: (server) =>
      addService(
        server,
        AgentService,
        {
          async acquireRestartPermit({ reason }, call) {
            const certificate = call.peerCertificate ?? assert.fail('no certificate');
            callers.push(parseCertificate(certificate).serial);
            if (reason === 'wait') {
              await new Promise<void>((resolve) => {
                release = resolve;
              });
            }
            return { permitId: 'p1' };
          },
          releaseRestartPermit: async () => ({}),
          checkPeers: async () => ({}),
          async session(stream) {
            for await (const _ of stream) stream.write({});
          },
        },
        { admit: async () => '', actorOf: () => '', elapsed: () => 0, log: silentLog },
      ),
  });
});
after(async () => {
  await listener.stop(0);
  rmSync(parent, { recursive: true });
});

/** The link of a node that has joined. */
async function begin(test: TestContext) {
  const layout = layoutBelow(mkdtempSync(join(parent, 'node-')));
  const clock = new FakeClock(Date.now()); // TLS stacks compare with the real time
  const link = createServerLink(layout, `127.0.0.1:${listener.port}`, clock);
  test.after(() => link.close());
  const enrol = async () => {
    const leaf = await fleet.issue();
    await saveIdentity(layout, { keyPem: leaf.keyPem, certificatePem: leaf.certPem, fleetRootsPem: fleet.rootsPem });
    return leaf.serial;
  };
  const acquire = async (reason = '') => (await link.calls()).agent.acquireRestartPermit({ reason });
  return { clock, link, enrol, acquire };
}

describe('createServerLink', () => {
  it('calls with the identity of the node, which may come later than the link', async (test) => {
    const { enrol, acquire } = await begin(test);
    await assert.rejects(acquire(), { reason: 'not-found', message: /join this node again/ });
    const serial = await enrol();
    assert.equal((await acquire()).permitId, 'p1');
    assert.equal(callers.at(-1), serial);
  });

  it('opens one connection, however many ask at once', async (test) => {
    const { link, enrol } = await begin(test);
    await enrol();
    const [one, two, three] = await Promise.all([link.calls(), link.calls(), link.calls()]);
    assert.equal(one, two);
    assert.equal(two, three);
  });

  it('takes a new identity for new calls, and lets the old ones end before it closes', async (test) => {
    const { clock, link, enrol, acquire } = await begin(test);
    const old = await enrol();
    const waiting = acquire('wait');
    await until(() => callers.at(-1) === old, 'a call with the old certificate');
    const stream = (await link.calls()).agent.session();
    const serial = await enrol();
    link.renew();
    await acquire();
    assert.equal(callers.at(-1), serial);
    release();
    assert.equal((await waiting).permitId, 'p1');
    // the session of before comes back with the new identity
    const ended = assert.rejects(stream[Symbol.asyncIterator]().next(), { reason: 'unavailable' });
    await clock.advance(5 * 60_000);
    await ended;
  });

  it('says that an identity has expired, rather than that nobody answers', async (test) => {
    const { clock, enrol, acquire } = await begin(test);
    await enrol();
    await acquire();
    await clock.advance(3_600_000);
    await assert.rejects(acquire(), { reason: 'unauthenticated', message: /has expired: join it again/ });
    await assert.rejects(acquire(), { reason: 'unauthenticated' });
  });

  it('ends what is under way when it is closed', async (test) => {
    const { clock, link, enrol, acquire } = await begin(test);
    const serial = await enrol();
    const waiting = acquire('wait');
    await until(() => callers.at(-1) === serial, 'a call with the new certificate');
    link.close();
    await assert.rejects(waiting, { reason: 'unavailable' });
    await until(() => clock.sleeping === 0, 'the end of the sleep');
    release();
  });
});
