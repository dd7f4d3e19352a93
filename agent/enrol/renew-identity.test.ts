import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it, type TestContext } from 'node:test';
import { AppError } from '../../common/errors/app-error.ts';
import { silentLog } from '../../common/log/log.ts';
import { FakeClock } from '../../common/time/fake-clock.ts';
import { until } from '../../common/time/until-for-tests.ts';
import { parseCsr } from '../../common/x509/csr.ts';
import { generateKey } from '../../common/x509/keys.ts';
import { BACKDATED_MS } from '../../common/x509/life.ts';
import type { CertificateFields } from '../../common/x509/sign.ts';
import { layoutBelow } from '../layout.ts';
import { FakeLink } from '../link/fake-link.ts';
import { type TestAuthority, testAuthority } from '../verify/pki-for-tests.ts';
import { loadIdentity, saveIdentity } from './identity.ts';
import { renewalDueMs, renewIdentity } from './renew-identity.ts';

const HOUR = 3_600_000;
const parent = mkdtempSync(join(tmpdir(), 'kube-mtls-renew-'));
const startMs = Math.floor(Date.now() / 1000) * 1000;
let fleet: TestAuthority;
let stranger: TestAuthority;
before(async () => {
  [fleet, stranger] = await Promise.all([testAuthority('fleet'), testAuthority('fleet')]);
});
after(() => rmSync(parent, { recursive: true }));

/** Of an identity that lives six hours from a time on. */
function lifeFrom(atMs: number): Partial<CertificateFields> {
  return { notBefore: new Date(atMs - BACKDATED_MS), notAfter: new Date(atMs + 6 * HOUR) };
}

/** The renewal of a node whose identity lives six hours from now, and a server that renews it. */
async function begin(test: TestContext) {
  const layout = layoutBelow(mkdtempSync(join(parent, 'node-')));
  const { certPem, keyPem } = await fleet.issue(lifeFrom(startMs));
  const old = { keyPem, certificatePem: certPem, fleetRootsPem: fleet.rootsPem };
  await saveIdentity(layout, old);
  const clock = new FakeClock(startMs);
  const link = new FakeLink(new Map());
  const answer = (by: TestAuthority, fields: Partial<CertificateFields> = {}) => {
    link.instead.renew = async (csr) => {
      const { publicKey } = parseCsr(csr);
      const leaf = await by.issue({ publicKey, ...lifeFrom(clock.nowMs()), ...fields });
      return { certificatePem: leaf.certPem, fleetRootsPem: fleet.rootsPem };
    };
  };
  answer(fleet);
  const stop = new AbortController();
  const running = renewIdentity({ layout, link, clock, log: silentLog, keyAlgorithm: 'ecdsa-p256' }, stop.signal);
  running.catch(() => undefined); // the test looks at it later, or not at all
  test.after(() => stop.abort());
  /** Moves the time once the loop has come to rest, and lets it come to rest again. */
  const advance = async (ms: number) => {
    await until(() => clock.sleeping === 1, 'the sleep');
    await clock.advance(ms);
    await until(() => clock.sleeping === 1, 'the sleep');
  };
  return { layout, clock, link, old, answer, stop, running, advance };
}

describe('renewIdentity', () => {
  it('waits for two thirds of the life, then switches to a new key and a new connection', async (test) => {
    const { layout, link, old, advance } = await begin(test);
    assert.equal(renewalDueMs(old.certificatePem), startMs + 4 * HOUR);
    for (let hour = 1; hour < 4; hour++) await advance(HOUR);
    assert.deepEqual([link.asked, link.renewed], [[], 0]);
    await advance(HOUR);
    assert.deepEqual([link.asked, link.renewed], [['renew'], 1]);
    const { keyPem, certificatePem } = await loadIdentity(layout);
    assert.notEqual(keyPem, old.keyPem);
    assert.equal(renewalDueMs(certificatePem), startMs + 8 * HOUR);
  });

  it('keeps the old identity and tries again, ever more slowly, while the server refuses', async (test) => {
    const { layout, clock, link, old, answer, advance } = await begin(test);
    link.instead.renew = async () => {
      throw new AppError('unavailable', 'nobody answers');
    };
    for (let hour = 0; hour < 4; hour++) await advance(HOUR);
    assert.equal(link.asked.length, 1);
    await advance(5_000);
    assert.equal(link.asked.length, 2);
    await advance(2_500); // the second wait is 5 s at least
    assert.equal(link.asked.length, 2);
    assert.deepEqual(await loadIdentity(layout), old);
    answer(fleet);
    await advance(10_000);
    assert.notDeepEqual(await loadIdentity(layout), old);
    assert.ok(clock.nowMs() < startMs + 5 * HOUR);
  });

  const answers: [what: string, make: () => Promise<{ by?: TestAuthority; fields?: Partial<CertificateFields> }>][] = [
    ['for another key', async () => ({ fields: { publicKey: (await generateKey('ecdsa-p256')).publicKey } })],
    ['that its own roots do not vouch for', async () => ({ by: stranger })],
    ['that is not valid yet', async () => ({ fields: lifeFrom(startMs + 5 * HOUR) })],
    ['that is due at once, without asking in a loop', async () => ({ fields: lifeFrom(startMs) })],
  ];
  for (const [what, make] of answers) {
    it(`never takes an identity ${what}`, async (test) => {
      const { layout, link, old, answer, advance } = await begin(test);
      const { by = fleet, fields = {} } = await make();
      answer(by, fields);
      for (let hour = 0; hour < 4; hour++) await advance(HOUR);
      assert.deepEqual([link.asked, link.renewed], [['renew'], 0]);
      assert.deepEqual(await loadIdentity(layout), old);
    });
  }

  it('lives on with an identity that is damaged, and notices when it is mended', async (test) => {
    const { layout, link, old, advance } = await begin(test);
    writeFileSync(join(layout.identityFolder, 'current', 'identity.crt'), 'garbage');
    await advance(HOUR);
    await advance(600_000);
    await saveIdentity(layout, old);
    for (let hour = 0; hour < 4; hour++) await advance(HOUR);
    assert.deepEqual(link.asked, ['renew']);
  });

  it('ends when the signal fires', async (test) => {
    const { stop, running } = await begin(test);
    stop.abort();
    await assert.rejects(running, { name: 'AbortError' });
  });
});
