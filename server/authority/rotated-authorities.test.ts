import assert from 'node:assert/strict';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { AppError, type Reason } from '../../common/errors/app-error.ts';
import type { Profile } from '../../common/names/names.ts';
import { fewIterations, hasIterations } from '../../common/x509/x509-for-tests.ts';
import type { RotationRecord } from '../store/store.ts';
import { type ChangingAuthorities, loadAuthorities } from './authorities.ts';
import { makeAuthorities } from './make-authorities.ts';

const nowMs = Date.UTC(2026, 0, 1);
const refused = (reason: Reason, text: RegExp) => (error: unknown) =>
  error instanceof AppError && error.reason === reason && text.test(error.message);

describe('authorities under a rotation record', () => {
  let stateFolder: string;
  let authorities: ChangingAuthorities;
  let first: string;
  let second: string;
  beforeEach(async () => {
    stateFolder = await mkdtemp(join(tmpdir(), 'kube-mtls-state-'));
    const lock = { passphrase: 'secret', keyIterations: fewIterations };
    await makeAuthorities({ stateFolder, ...lock, clusterName: 'lab', adoptFolder: undefined, nowMs });
    authorities = await open();
    first = authorities.certificate('kubernetes').publicKeyPin;
    second = await authorities.make('kubernetes', nowMs);
  });
  afterEach(() => rm(stateFolder, { recursive: true }));

  const record = (
    phase: RotationRecord['phase'],
    { oldSigner = first, old = [first], retired = [] }: { oldSigner?: string; old?: string[]; retired?: string[] } = {},
  ): RotationRecord => ({
    generation: 1,
    phase,
    phaseStartedAtMs: nowMs,
    automatic: false,
    authorities: phase === 'settled' ? [] : ['kubernetes'],
    lines: [{ authority: 'kubernetes', current: second, old, oldSigner, retired }],
  });
  const open = (rotation?: RotationRecord) => loadAuthorities(stateFolder, 'secret', rotation, fewIterations);
  const file = async (end: string) => {
    const names = await readdir(join(stateFolder, 'ca'));
    const name = names.find((each) => each.startsWith('kubernetes-') && each.endsWith(end));
    assert.ok(name);
    return join(stateFolder, 'ca', name);
  };

  it('take a new CA for nothing until a record names it', async () => {
    assert.equal(authorities.rootsPem('kubernetes'), authorities.certificate('kubernetes').pem);
    assert.equal(authorities.issuingPin('kubernetes'), first);
    const opened = await open();
    assert.equal(opened.all('kubernetes').length, 1);
    opened.take(record('trust'));
    assert.equal(opened.all('kubernetes').length, 2);
  });

  it('encrypt a new CA as slowly as those of init, of which only tests take fewer rounds', async () => {
    const slow = await loadAuthorities(stateFolder, 'secret');
    await slow.make('kubernetes', nowMs);
    assert.ok(hasIterations(readFileSync(await file('.key'), 'utf8'), 600_000));
  });

  type Signs = 'first' | 'second' | 'refused';
  const rows: [string, () => RotationRecord, profile: Profile | undefined, Signs][] = [
    ['trust: a leaf', () => record('trust'), 'kubelet-client', 'first'],
    ['trust: a probe', () => record('trust'), 'probe-client', 'second'],
    ['trust, the old key elsewhere: a leaf', () => record('trust', { oldSigner: '' }), 'kubelet-client', 'refused'],
    ['trust, the old key elsewhere: a probe', () => record('trust', { oldSigner: '' }), 'probe-client', 'second'],
    ['reissue: a leaf', () => record('reissue'), 'kubelet-client', 'second'],
    ['reissue: a probe', () => record('reissue'), 'probe-client', 'second'],
    ['drop: a leaf', () => record('drop', { old: [], retired: [first] }), 'kubelet-client', 'second'],
    ['settled: a leaf', () => record('settled', { old: [], retired: [first] }), 'kubelet-client', 'second'],
  ];
  for (const [what, make, profile, expected] of rows) {
    it(`in the phase ${what} ${expected === 'refused' ? 'is refused' : `comes from the ${expected} CA`}`, async () => {
      const opened = await open(make());
      const sign = () => opened.signerFor('kubernetes', profile).certificate.publicKeyPin;
      const end = () => opened.certificateFor('kubernetes', profile).publicKeyPin;
      if (expected === 'refused') {
        const why = refused('policy-refused', /the phase trust of the kubernetes CA issues nothing but probes/);
        assert.throws(sign, why);
        assert.throws(end, why);
      } else {
        assert.deepEqual([sign(), end()], expected === 'first' ? [first, first] : [second, second]);
      }
      assert.equal(opened.issuingPin('etcd'), opened.certificate('etcd').publicKeyPin);
    });
  }

  it('tell of each phase the roots, the retired ones and what signs', async () => {
    const rows: [RotationRecord, roots: string[], retiredRoots: number, issuing: string][] = [
      [record('trust'), [second, first], 0, first],
      [record('trust', { oldSigner: '' }), [second, first], 0, ''],
      [record('reissue'), [second, first], 0, second],
      [record('drop', { old: [], retired: [first] }), [second], 1, second],
      [record('settled', { old: [], retired: [first] }), [second], 1, second],
    ];
    for (const [rotation, roots, retiredRoots, issuing] of rows) {
      authorities.take(rotation);
      assert.deepEqual(
        authorities.roots('kubernetes').map((root) => root.publicKeyPin),
        roots,
      );
      assert.equal(authorities.retiredPem('kubernetes').split('BEGIN CERTIFICATE').length - 1, retiredRoots);
      assert.equal(authorities.issuingPin('kubernetes'), issuing);
      assert.equal(authorities.phase('kubernetes'), rotation.phase);
      assert.equal(authorities.phase('etcd'), 'settled');
      assert.equal(authorities.retiredPem('etcd'), '');
    }
  });

  const losses: [string, lose: () => Promise<void>, RotationRecord['phase'], RegExp | undefined][] = [
    ['the key of the new CA', async () => rmSync(await file('.key')), 'trust', /kubernetes-.*\.key: it is missing/],
    [
      'the certificate of the new CA',
      async () => rmSync(await file('.crt')),
      'reissue',
      /kubernetes CA sha256:.* missing/,
    ],
    [
      'the old key while it signs',
      async () => rmSync(join(stateFolder, 'ca/kubernetes.key')),
      'trust',
      /kubernetes\.key/,
    ],
    [
      'the old key when it signs no more',
      async () => rmSync(join(stateFolder, 'ca/kubernetes.key')),
      'reissue',
      undefined,
    ],
    ['a damaged new key', async () => writeFileSync(await file('.key'), 'x'), 'reissue', /it is not encrypted/],
  ];
  for (const [what, lose, phase, message] of losses) {
    it(`${message === undefined ? 'open' : 'do not open'} without ${what}`, async () => {
      await lose();
      if (message === undefined) await open(record(phase));
      else await assert.rejects(open(record(phase)), refused('unavailable', message));
    });
  }

  it('forget the keys of retired roots, never while a rotation is under way and never one that signs', async () => {
    const keys = async () =>
      (await readdir(join(stateFolder, 'ca'))).filter((name) => /^kubernetes.*\.key$/.test(name));
    authorities.take(record('drop', { old: [], retired: [first] }));
    await authorities.forgetRetiredKeys();
    assert.equal((await keys()).length, 2);
    authorities.take(record('settled', { old: [], retired: [first] }));
    await authorities.forgetRetiredKeys();
    assert.deepEqual(
      (await keys()).map((name) => name.length > 'kubernetes.key'.length),
      [true],
    );
    assert.equal(authorities.signerFor('kubernetes', 'kubelet-client').certificate.publicKeyPin, second);
  });

  it('name each further CA differently, so that nobody finds the wrong issuer by its name', () => {
    authorities.take(record('trust'));
    const [newest, oldest] = authorities.roots('kubernetes');
    assert.equal(oldest?.commonName, 'kubernetes');
    assert.match(newest?.commonName ?? '', /^kubernetes-[0-9a-f]{8}$/);
  });
});
