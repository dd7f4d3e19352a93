import assert from 'node:assert/strict';
import { rmSync, statSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, before, beforeEach, describe, it } from 'node:test';
import { FakeClock } from '../../common/time/fake-clock.ts';
import { keyMatches, parseCertificates } from '../../common/x509/certificate.ts';
import { generateKey, loadKey } from '../../common/x509/keys.ts';
import type { Authorities } from '../authority/authorities.ts';
import { sampleAuthorities, sampleConfig, startMs } from '../policy/policy-for-tests.ts';
import { openSqliteStore } from '../store/sqlite-store.ts';
import { refused } from './init-for-tests.ts';
import {
  readServerCertificate,
  renewServerCertificate,
  type ServerCertificateDeps,
} from './renew-server-certificate.ts';

const dayMs = 86_400_000;

describe('renewServerCertificate', () => {
  let authorities: Authorities;
  let clock: FakeClock;
  let deps: ServerCertificateDeps;
  before(async () => {
    authorities = await sampleAuthorities();
  });
  beforeEach(async () => {
    clock = new FakeClock(startMs);
    const stateFolder = await mkdtemp(join(tmpdir(), 'kube-mtls-server-certificate-'));
    const config = { ...sampleConfig(), stateFolder };
    deps = { store: openSqliteStore(':memory:', clock), authorities, config, clock, hostname: 'cp1' };
  });
  afterEach(async () => {
    await deps.store.close();
    await rm(deps.config.stateFolder, { recursive: true });
  });
  const file = (name: string) => join(deps.config.stateFolder, 'server', name);
  const read = async () => {
    const { certPem, keyPem } = await readServerCertificate(deps.config.stateFolder);
    const [leaf, root] = parseCertificates(certPem);
    assert.ok(leaf !== undefined && root !== undefined && keyMatches(loadKey(keyPem), leaf));
    return { leaf, root, keyPem };
  };

  it('makes one where there is none, and leaves it as long as it serves', async () => {
    await assert.rejects(readServerCertificate(deps.config.stateFolder), refused('unavailable', /missing/));
    assert.equal(await renewServerCertificate(deps), true);
    const { leaf, root } = await read();
    assert.equal(root.sha256, authorities.certificate('fleet').sha256);
    assert.equal(statSync(file('tls.key')).mode & 0o777, 0o600);
    await clock.advance(59 * dayMs);
    assert.equal(await renewServerCertificate(deps), false);
    assert.equal((await read()).leaf.sha256, leaf.sha256);
    const { rows } = await deps.store.listCertificates({ holder: 'server' }, { size: 10, after: undefined });
    assert.deepEqual(
      rows.map((row) => [row.serial, row.state]),
      [[leaf.serial, 'issued']],
    );
  });

  it('makes a new key and certificate when less than a third of the life is left', async () => {
    await renewServerCertificate(deps);
    const old = await read();
    await clock.advance(61 * dayMs);
    assert.equal(await renewServerCertificate(deps), true);
    const { leaf, keyPem } = await read();
    assert.notEqual(keyPem, old.keyPem);
    assert.deepEqual(leaf.notAfter, new Date(startMs + 151 * dayMs));
    const { rows } = await deps.store.listEvents({ kind: 'server.renewed' }, { size: 10, after: undefined });
    assert.match(rows[0]?.message ?? '', /because it would end 2026-04-01/);
  });

  it('makes another when it is advertised, or the machine is called, otherwise', async () => {
    await renewServerCertificate(deps);
    const config = { ...deps.config, advertise: ['ca.example', '10.0.0.7'] as [string, string] };
    assert.equal(await renewServerCertificate({ ...deps, config }), true);
    assert.deepEqual((await read()).leaf.ipAddresses.toSorted(), ['10.0.0.7', '127.0.0.1', '::1']);
    assert.equal(await renewServerCertificate({ ...deps, config, hostname: 'cp2' }), true);
    assert.ok((await read()).leaf.dnsNames.includes('cp2'));
    assert.equal(await renewServerCertificate({ ...deps, config, hostname: 'cp2' }), false);
  });

  const damages: [what: string, damage: () => void | Promise<void>][] = [
    ['the key is lost', () => rmSync(file('tls.key'))],
    ['the certificate is lost', () => rmSync(file('tls.crt'))],
    ['the key is of another', async () => writeFileSync(file('tls.key'), (await generateKey('ecdsa-p256')).pem)],
    ['the certificate is damaged', () => writeFileSync(file('tls.crt'), 'x')],
    ['the key is damaged', () => writeFileSync(file('tls.key'), 'x')],
    ['the chain is cut', async () => writeFileSync(file('tls.crt'), (await read()).leaf.pem)],
  ];
  for (const [what, damage] of damages) {
    it(`makes another when ${what}`, async () => {
      await renewServerCertificate(deps);
      await damage();
      assert.equal(await renewServerCertificate(deps), true);
      await read();
      assert.equal(await renewServerCertificate(deps), false);
    });
  }

  it('makes another under another fleet CA', async () => {
    await renewServerCertificate(deps);
    const others = await sampleAuthorities();
    assert.equal(await renewServerCertificate({ ...deps, authorities: others }), true);
    assert.equal((await read()).root.sha256, others.certificate('fleet').sha256);
  });

  it('refuses when the fleet CA is about to end, and keeps what is there', async () => {
    const short = { ...deps, authorities: await sampleAuthorities(100) };
    await renewServerCertificate(short);
    const { leaf } = await read();
    await clock.advance(100 * dayMs - 60_000);
    await assert.rejects(renewServerCertificate(short), refused('policy-refused', /the fleet CA ends/));
    assert.equal((await read()).leaf.sha256, leaf.sha256);
  });
});
