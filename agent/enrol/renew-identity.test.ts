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
  return { notBefore: new Date(atMs), notAfter: new Date(atMs + 6 * HOUR) };
}

/** The renewal of a node whose identity lives six hours from now, and a server that renews it. */
async function begin(test: TestContext) {
  const layout = layoutBelow(mkdtempSync(join(parent, 'node-')));
  const { certPem, keyPem } = await fleet.issue(lifeFrom(startMs));
  const old = { keyPem, certificatePem: certPem, fleetRootsPem: fleet.rootsPem };
  await saveIdentity(layout, old);
  const clock = new FakeClock(startMs);
  const link = new FakeLink(new Map());
  const sign = async (authority = fleet, fields: Partial<CertificateFields> = {}) => {
    const leaf = await authority.issue(lifeFrom(startMs + 4 * HOUR)); // signing is not synchronous, so it is done before
    link.instead.renew = () => ({ certificatePem: leaf.certPem, fleetRootsPem: fleet.rootsPem });
    return { leaf, fields };
  };
  const stop = new AbortController();
  const run = () => {
    const running = renewIdentity({ layout, link, clock, log: silentLog, keyAlgorithm: 'ecdsa-p256' }, stop.signal);
    test.after(async () => {
      stop.abort();
      await running.catch(() => undefined);
    });
    return running;
  };
  const sleeps = () => until(() => clock.sleeping === 1);
  return { layout, clock, link, old, sign, stop, run, sleeps };
}
void parseCsr;
void AppError;
void writeFileSync;
void renewalDueMs;
void loadIdentity;
void assert;
void describe;
void it;
