import assert from 'node:assert/strict';
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { layoutBelow } from '../layout.ts';
import { type TestAuthority, testAuthority } from '../verify/pki-for-tests.ts';
import { type Identity, loadIdentity, saveIdentity } from './identity.ts';

const parent = mkdtempSync(join(tmpdir(), 'kube-mtls-identity-'));
let fleet: TestAuthority;
before(async () => {
  fleet = await testAuthority('fleet');
});
after(() => rmSync(parent, { recursive: true }));

const newLayout = () => layoutBelow(mkdtempSync(join(parent, 'node-')));

async function newIdentity(): Promise<Identity> {
  const { certPem, keyPem } = await fleet.issue();
  return { keyPem, certificatePem: certPem, fleetRootsPem: fleet.rootsPem };
}

describe('identity', () => {
  it('comes back as it was saved; only root reads the key', async () => {
    const layout = newLayout();
    const identity = await newIdentity();
    await saveIdentity(layout, identity);
    assert.deepEqual(await loadIdentity(layout), identity);
    const mode = (name: string) => statSync(join(layout.identityFolder, name)).mode & 0o777;
    assert.deepEqual(['.', 'current', 'current/identity.key'].map(mode), [0o700, 0o700, 0o600]);
  });

  it('leaves only the newest, and sweeps what a crash left', async () => {
    const layout = newLayout();
    await saveIdentity(layout, await newIdentity());
    mkdirSync(join(layout.identityFolder, 'v1234-aaaaaa'));
    writeFileSync(join(layout.identityFolder, 'v1234-aaaaaa', 'identity.key'), 'half');
    symlinkSync('v1234-aaaaaa', join(layout.identityFolder, '.current.kube-mtls-0123456789ab'));
    const newest = await newIdentity();
    await saveIdentity(layout, newest);
    assert.deepEqual(await loadIdentity(layout), newest);
    const target = readlinkSync(join(layout.identityFolder, 'current'));
    assert.deepEqual(readdirSync(layout.identityFolder).sort(), ['current', target].sort());
  });

  it('is the old one still when the agent dies between the files of the new one', async () => {
    const layout = newLayout();
    const old = await newIdentity();
    await saveIdentity(layout, old);
    const { certificatePem, keyPem } = await newIdentity();
    // fails where the roots would be written, after key and certificate were
    const broken = { certificatePem, keyPem, fleetRootsPem: Symbol('cut') as unknown as string }; // as a crash would leave it
    await assert.rejects(saveIdentity(layout, broken));
    assert.equal(readdirSync(layout.identityFolder).filter((name) => name.startsWith('v')).length, 2);
    assert.deepEqual(await loadIdentity(layout), old);
  });

  it('never writes over the version in use, even for the same certificate', async () => {
    const layout = newLayout();
    const identity = await newIdentity();
    await saveIdentity(layout, identity);
    const first = readlinkSync(join(layout.identityFolder, 'current'));
    await saveIdentity(layout, identity);
    assert.notEqual(readlinkSync(join(layout.identityFolder, 'current')), first);
    assert.deepEqual(await loadIdentity(layout), identity);
  });

  it('is whole for whoever reads while it is replaced', async () => {
    const layout = newLayout();
    const identities = await Promise.all(Array.from({ length: 10 }, newIdentity));
    const known = new Map(identities.map(({ keyPem, certificatePem }) => [keyPem, certificatePem]));
    for (const identity of identities.slice(0, 1)) await saveIdentity(layout, identity);
    let done = false;
    const read = async () => {
      for (let turns = 0; !done || turns === 0; turns++) {
        const { keyPem, certificatePem } = await loadIdentity(layout);
        assert.equal(known.get(keyPem), certificatePem);
      }
    };
    const write = async () => {
      for (const identity of identities) await saveIdentity(layout, identity);
      done = true;
    };
    await Promise.all([write(), read(), read(), read()]);
  });

  it('is not found before the node has joined', async () => {
    await assert.rejects(loadIdentity(newLayout()), { reason: 'not-found', message: /join this node again/ });
  });

  it('is refused when key and certificate are of different identities', async () => {
    const layout = newLayout();
    await saveIdentity(layout, await newIdentity());
    writeFileSync(join(layout.identityFolder, 'current', 'identity.key'), (await newIdentity()).keyPem);
    await assert.rejects(loadIdentity(layout), { reason: 'internal', message: /do not match; join this node again/ });
  });
});
