/** Real agents and the real server in one process: what the fakes of either side cannot tell of the other. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { checkKinds, checkResults, profiles } from '../../common/names/names.ts';
import { parseCertificate } from '../../common/x509/certificate.ts';
import { Fleet } from './fleet-fixture.ts';

describe('one node', () => {
  it('comes from its token to VERIFIED', async (test) => {
    const fleet = await Fleet.start();
    test.after(() => fleet.close());
    await fleet.cluster.addForeignApiserver();
    await fleet.addWorkers(1);
    const { machine } = fleet.node('w1');
    const before = machine.tree();
    await fleet.verified();

    const { node, components } = await fleet.admin.fleet.getNode({ name: 'w1' });
    assert.deepEqual([node?.online, node?.addresses, components.length], [true, ['10.9.0.1'], 1]);
    const [kubelet] = components;
    assert.deepEqual(
      kubelet?.checks.map(({ kind, result }) => [checkKinds.toWord(kind), checkResults.toWord(result)]),
      ['unit', 'journal', 'handshake', 'cluster', 'peers'].map((kind) => [
        kind,
        kind === 'peers' ? 'skipped' : 'passed', // nobody else is there
      ]),
    );
    const serials = new Map(kubelet?.certificates.map(({ profile, serial }) => [profiles.toWord(profile), serial]));
    assert.deepEqual([...serials.keys()].sort(), ['kubelet-client', 'kubelet-serving', 'probe-client']);
    const { certificates } = await fleet.admin.fleet.listCertificates({ node: 'w1' });
    for (const serial of serials.values()) assert.ok(certificates.some((each) => each.serial === serial));

    // what the machine says is what the operator is told
    assert.equal(await fleet.cluster.network.serialAt('10.9.0.1', 10250), serials.get('kubelet-serving'));
    const caller = await fleet.cluster.kubernetes.kubelets.get('w1')?.credentials();
    assert.equal(parseCertificate(caller?.certPem ?? '').serial, serials.get('kubelet-client'));
    assert.deepEqual([kubelet?.restarts, machine.starts('kubelet.service')], [1, 2]);
    assert.ok(
      !before.has('/etc/kube-mtls/pki/kubelet/current') && machine.tree().has('/etc/kube-mtls/pki/kubelet/current'),
    );

    const kinds = (await fleet.events()).map(({ kind }) => kind).filter((kind) => !kind.startsWith('certificate'));
    assert.deepEqual(kinds.slice(kinds.indexOf('token.created')), [
      ...['token.created', 'enrol.accepted', 'node.online', 'component.pending', 'permit.granted'],
      ...['component.applying', 'component.verifying', 'peers.confirmed', 'component.verified', 'permit.released'],
      'settings.kubelets-verified',
    ]);
    const { rollout, warnings } = await fleet.status();
    assert.deepEqual([rollout?.paused, rollout?.permits, warnings], [false, [], []]);
  });
});
