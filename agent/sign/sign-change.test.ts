import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { FakeClock } from '../../common/time/fake-clock.ts';
import { makeKeys } from '../keys/make-keys.ts';
import { componentFolder, layoutBelow } from '../layout.ts';
import { FakeLink } from '../link/fake-link.ts';
import type { Change, Slot } from '../plan/change.ts';
import { nowMs } from '../plan/fake-authorities.ts';
import { fingerprint } from '../plan/fingerprint.ts';
import { detectedKubelet } from '../verify/detected-for-tests.ts';
import { signChange } from './sign-change.ts';

let link: FakeLink;
before(async () => {
  link = await FakeLink.create();
});

const probe: Slot = { profile: 'probe-client', file: 'probe-client', dnsNames: [], ipAddresses: [], reason: 'missing' };

/** A change of a kubelet's trust, and perhaps of certificates. */
async function sign(slots: Slot[]) {
  const fake = new FakeLink(link.signers);
  const change: Change = {
    changeId: 'c1',
    components: [
      {
        ...{ component: 'kubelet', detected: detectedKubelet({}), uid: 0, gid: 0, slots, files: [], summary: [] },
        folder: componentFolder(layoutBelow('/nowhere'), 'kubelet'),
        bundles: [{ authority: 'kubernetes', file: 'client-ca.crt' }],
        ...{ memberUpdate: undefined, target: 'trusting', takeUp: 'live' },
      },
    ],
    fingerprint: '',
  };
  change.fingerprint = fingerprint(change.components, fake.bundles);
  const keyed = await makeKeys(change, 'ecdsa-p256');
  const deps = { link: fake, clock: new FakeClock(nowMs) };
  return { fake, signed: await signChange(deps, keyed, new AbortController().signal) };
}

describe('signChange', () => {
  it('has all certificates issued by one call', async () => {
    const { fake, signed } = await sign([probe]);
    assert.deepEqual(fake.asked, ['issue c1']);
    assert.deepEqual(
      signed.certificates.map(({ profile }) => profile),
      ['probe-client'],
    );
  });

  it('asks for the roots alone when no certificate is wanted: a batch must not be empty', async () => {
    const { fake, signed } = await sign([]);
    assert.deepEqual(fake.asked, ['bundles']);
    assert.deepEqual(signed.certificates, []);
    assert.deepEqual(new Map(signed.bundles.map(({ authority, rootsPem }) => [authority, rootsPem])), fake.bundles);
  });
});
