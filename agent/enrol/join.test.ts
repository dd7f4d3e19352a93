import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it, type TestContext } from 'node:test';
import { AppError, type Reason } from '../../common/errors/app-error.ts';
import { silentLog } from '../../common/log/log.ts';
import { roles } from '../../common/names/names.ts';
import { addService } from '../../common/rpc/handlers.ts';
import { openListener } from '../../common/rpc/listener.ts';
import { FakeClock } from '../../common/time/fake-clock.ts';
import { parseCertificate } from '../../common/x509/certificate.ts';
import { parseCsr } from '../../common/x509/csr.ts';
import { generateKey } from '../../common/x509/keys.ts';
import type { CertificateFields } from '../../common/x509/sign.ts';
import { EnrollmentService } from '../../proto/gen/kubemtls/v1/enrollment_pb.js';
import { layoutBelow } from '../layout.ts';
import { type TestAuthority, testAuthority } from '../verify/pki-for-tests.ts';
import { loadEnrolment } from './enrolment.ts';
import { loadIdentity } from './identity.ts';
import { joinFleet, parseEndpoint } from './join.ts';

const parent = mkdtempSync(join(tmpdir(), 'kube-mtls-join-'));
const token = `abcdefgh.${'0123456789abcdef'.repeat(2)}`;
const clock = new FakeClock(Date.now()); // TLS stacks compare with the real time
let fleet: TestAuthority;
before(async () => {
  fleet = await testAuthority('fleet');
});
after(() => rmSync(parent, { recursive: true }));

/** What the server does otherwise than it should. */
interface Odd {
  refuse?: AppError;
  fields?: Partial<CertificateFields>;
  fleetEndpoint?: string;
  role?: number;
  /** Of the server's own certificate. */
  serving?: Partial<CertificateFields>;
}

/** A bootstrap listener, and a node that has not joined yet. */
async function begin(test: TestContext, odd: Odd = {}) {
  const layout = layoutBelow(mkdtempSync(join(parent, 'node-')));
  const calls: { authorization: string | undefined; pin: string; nodeName: string }[] = [];
  const leaf = await fleet.issue(odd.serving);
  const listener = await openListener({
    host: '127.0.0.1',
    port: 0,
    tls: { certPem: leaf.certPem + fleet.rootsPem, keyPem: leaf.keyPem },
    log: silentLog,
    register: (server) =>
      addService(
        server,
        EnrollmentService,
        {
          async enrollNode({ csr, nodeName }, call) {
            const { publicKey, publicKeyPin } = parseCsr(csr);
            calls.push({ authorization: call.header('authorization'), pin: publicKeyPin, nodeName });
            if (odd.refuse !== undefined) throw odd.refuse;
            const { certPem } = await fleet.issue({ publicKey, usages: ['client'], ...odd.fields });
            const { fleetEndpoint = 'cp1:9444', role = roles.toNumber('worker') } = odd;
            return { certificatePem: certPem, fleetRootsPem: 'not looked at', fleetEndpoint, role };
          },
        },
        { admit: async () => '', actorOf: () => '', elapsed: () => 0, log: silentLog },
      ),
  });
  test.after(() => listener.stop(0));
  const options = {
    server: `127.0.0.1:${listener.port}`,
    token,
    caHash: parseCertificate(fleet.rootsPem).publicKeyPin,
    nodeName: 'w1',
    mode: 'observe',
    keyAlgorithm: 'ecdsa-p256',
  } as const;
  return { layout, calls, options, odd, enrol: (other = {}) => joinFleet({ layout, clock }, { ...options, ...other }) };
}

function failure(reason: Reason, words: RegExp) {
  return (error: unknown) => error instanceof AppError && error.reason === reason && words.test(error.message);
}

describe('joinFleet', () => {
  it('sends the token and the name, and records identity and enrolment', async (test) => {
    const { layout, calls, options, enrol } = await begin(test);
    const enrolment = await enrol({ caHash: options.caHash.toUpperCase().replace('SHA256', 'sha256') });
    assert.deepEqual(
      calls.map(({ authorization, nodeName }) => [authorization, nodeName]),
      [[`Bearer ${token}`, 'w1']],
    );
    assert.deepEqual(enrolment, {
      bootstrapEndpoint: options.server,
      fleetEndpoint: 'cp1:9444',
      pin: options.caHash,
      nodeName: 'w1',
      role: 'worker',
      mode: 'observe',
    });
    assert.deepEqual(await loadEnrolment(layout), enrolment);
    const identity = await loadIdentity(layout);
    assert.equal(parseCertificate(identity.certificatePem).publicKeyPin, calls[0]?.pin);
    assert.equal(identity.fleetRootsPem, parseCertificate(fleet.rootsPem).pem); // the pinned one, whatever the server says
    assert.equal(existsSync(pendingKey(layout.enrolmentFile)), false);
  });

  it('leaves the token nowhere on disk', async (test) => {
    const { layout, enrol } = await begin(test);
    await enrol();
    for (const name of readdirSync(layout.root, { recursive: true, encoding: 'utf8' })) {
      const path = join(layout.root, name);
      if (statSync(path).isFile()) assert.ok(!readFileSync(path, 'utf8').includes(token.slice(9)), path);
    }
  });

  it('sends no token to a server with another pin', async (test) => {
    const { layout, calls, enrol } = await begin(test);
    await assert.rejects(enrol({ caHash: `sha256:${'0'.repeat(64)}` }), failure('unauthenticated', /was not sent/));
    assert.equal(calls.length, 0);
    assert.equal(existsSync(layout.enrolmentFile), false);
  });

  const impostors: [what: string, serving: Partial<CertificateFields>][] = [
    ['a node that shows its own identity of the fleet CA', { usages: ['client'] }],
    ['a server of the fleet CA under another name', { dnsNames: ['w1'], ipAddresses: ['10.0.0.1'] }],
  ];
  for (const [what, serving] of impostors) {
    it(`sends no token to ${what}`, async (test) => {
      const { calls, enrol } = await begin(test, { serving });
      await assert.rejects(enrol(), failure('unavailable', /cannot be reached/));
      assert.equal(calls.length, 0);
    });
  }

  it('keeps its key after a refusal, for root alone, and comes again with the same one', async (test) => {
    const refuse = new AppError('unauthenticated', 'the token has expired');
    const { layout, calls, odd, enrol } = await begin(test, { refuse });
    await assert.rejects(enrol(), failure('unauthenticated', /the token has expired/));
    assert.equal(statSync(pendingKey(layout.enrolmentFile)).mode & 0o777, 0o600);
    assert.equal(existsSync(layout.identityFolder), false);
    delete odd.refuse;
    await enrol();
    assert.equal(calls[0]?.pin, calls[1]?.pin);
  });

  const answers: [what: string, odd: () => Promise<Odd> | Odd, reason: Reason, words: RegExp][] = [
    [
      'a certificate for another key',
      async () => ({ fields: { publicKey: (await generateKey('ecdsa-p256')).publicKey } }),
      'internal',
      /another key/,
    ],
    [
      'an identity that is not valid yet',
      () => ({ fields: { notBefore: new Date(Date.now() + 600_000), notAfter: new Date(Date.now() + 1_200_000) } }),
      'invalid-request',
      /compare the clocks/,
    ],
    ['no role', () => ({ role: 0 }), 'internal', /no role/],
    ['a fleet listener that is none', () => ({ fleetEndpoint: 'cp1' }), 'invalid-request', /not HOST:PORT/],
  ];
  for (const [what, odd, reason, words] of answers) {
    it(`records nothing when the server answers with ${what}`, async (test) => {
      const { layout, enrol } = await begin(test, await odd());
      await assert.rejects(enrol(), failure(reason, words));
      assert.equal(existsSync(layout.identityFolder), false);
      assert.equal(existsSync(layout.enrolmentFile), false);
    });
  }
});

describe('parseEndpoint', () => {
  const good: [text: string, host: string, port: number][] = [
    ['cp1:9443', 'cp1', 9443],
    ['10.0.0.1:1', '10.0.0.1', 1],
    ['[fd00::1]:65535', 'fd00::1', 65_535],
  ];
  for (const [text, host, port] of good)
    it(`reads ${text}`, () => assert.deepEqual(parseEndpoint(text), { host, port }));

  for (const text of [
    '',
    'cp1',
    ':9443',
    'cp1:',
    'cp1:0',
    'cp1:65536',
    'fd00::1:9443',
    'https://cp1:9443',
    'cp1:94a',
  ]) {
    it(`refuses "${text}"`, () => {
      assert.throws(() => parseEndpoint(text), failure('invalid-request', /is not HOST:PORT, for example/));
    });
  }
});

function pendingKey(enrolmentFile: string): string {
  return join(enrolmentFile, '..', 'pending.key');
}
