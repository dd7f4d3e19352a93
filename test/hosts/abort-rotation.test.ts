/** The change of etcd's CA over three members is taken back, from the phase trust and from the phase reissue, while somebody writes. */
import assert from 'node:assert/strict';
import { describe } from 'node:test';
import { onEtcdMembers } from '../lab/etcd-members.ts';
import { FleetView } from '../lab/fleet-view.ts';
import { RootChange } from '../lab/root-change.ts';

/** One member after another is restarted in each phase: half a minute each, and as much again on a busy machine. */
const PHASE_MS = 300_000;
const FOLDER = '/etc/kube-mtls/pki/etcd/current';
const ROOTS = `cat ${FOLDER}/client-ca.crt ${FOLDER}/peer-ca.crt`;
/** The key that signed the member's certificate. */
const SIGNER = `openssl x509 -noout -ext authorityKeyIdentifier -in ${FOLDER}/server.crt`;

describe('a change of the etcd CA that is taken back', () => {
  const { say, step, hosts, operator, joinAll, steps, wanted, untilVerified, writesThrough } = onEtcdMembers('back');
  /** What each member trusted before. */
  const before = new Map<string, string>();

  const change = () => new RootChange(operator(), say);
  const notice = async () => void (await steps().unfinished(wanted));

  /** Every member trusts what it trusted before and no more, and nothing is left to do. */
  async function assertAsBefore(): Promise<void> {
    await untilVerified();
    for (const host of hosts()) {
      assert.equal(await host.sh(ROOTS), before.get(host.name), `${host.name} trusts something else`);
      const plan = await host.run(['kube-mtls-agent', 'plan']);
      assert.equal(plan.code, 0, `${host.name}: ${plan.stdout}${plan.stderr}`);
    }
    const list = await hosts()[0].sh('kube-mtls authority list');
    assert.equal(list.split('\n').filter((line) => /^etcd .*(issuing|trusted)/.test(line)).length, 1, list);
  }

  step('is given up in trust, when one member trusts the new CA already', async () => {
    const [e1] = hosts();
    await joinAll();
    await untilVerified();
    for (const host of hosts()) before.set(host.name, await host.sh(ROOTS));
    await writesThrough(async () => {
      await change().begin(e1, ['etcd']);
      const one = async () => (await Promise.all(hosts().map((host) => host.sh(ROOTS)))).some((it) => !isOld(it));
      await e1.until('a member to trust the new CA', one, PHASE_MS);
      say((await e1.sh('kube-mtls authority abort')).trim());
      await change().untilEnded(PHASE_MS, notice);
    });
    await assertAsBefore();
  });

  /** True for what some member trusted before. */
  function isOld(roots: string): boolean {
    return [...before.values()].includes(roots);
  }

  step(
    'goes back from reissue to trust, once a member has a certificate of the new CA, and is given up from there',
    async () => {
      const [e1] = hosts();
      const keyIds = () => Promise.all(hosts().map((host) => host.sh(SIGNER)));
      const [old, ...others] = await keyIds();
      assert.ok(
        others.every((each) => each === old),
        'one CA has signed all of them',
      );
      await writesThrough(async () => {
        await change().begin(e1, ['etcd']);
        await change().advance('TRUST', PHASE_MS, notice);
        const reissued = async () => (await keyIds()).some((each) => each !== old);
        await e1.until('a member to get a certificate of the new CA', reissued, PHASE_MS);
        say((await e1.sh('kube-mtls authority abort')).trim());
        const view = await operator().call('AuthorityService/GetAuthorityRotation');
        assert.match(view, /ROTATION_PHASE_TRUST/);
        const refused = await e1.run(['kube-mtls', 'authority', 'abort']);
        say(`at once again: ${refused.code === 0 ? 'taken' : refused.stderr.trim()}`);
        if (refused.code !== 0) {
          const again = async () => (await e1.run(['kube-mtls', 'authority', 'abort'])).code === 0;
          await e1.until('every certificate to come from the old CA', again, PHASE_MS);
        }
        await change().untilEnded(PHASE_MS, notice);
      });
      await assertAsBefore();
      assert.ok(
        (await keyIds()).every((each) => each === old),
        'a certificate of the new CA is left',
      );
    },
  );

  step('can be begun again afterwards, and comes to its end', async () => {
    const [e1] = hosts();
    const view = new FleetView(operator());
    await change().begin(e1, ['etcd']);
    for (const phase of ['TRUST', 'REISSUE', 'DROP'] as const) await change().advance(phase, PHASE_MS, notice);
    await change().assertEnded();
    await untilVerified();
    for (const host of hosts()) {
      assert.equal((await view.component(host.name, 'etcd'))?.state, 'COMPONENT_STATE_VERIFIED');
      assert.ok(!isOld(await host.sh(ROOTS)), `${host.name} trusts the old CA still`);
    }
  });
});
