import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { create } from '@bufbuild/protobuf';
import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import { until } from '../../common/time/until-for-tests.ts';
import {
  AgentMode,
  CheckResult,
  Component,
  ComponentState,
  NodeRole,
  PageSchema,
  Profile,
} from '../../proto/gen/kubemtls/v1/types_pb.js';
import { type Clients, failureOf, startTestServer, type TestServer, wishFor } from './server-fixture.ts';

let server: TestServer;
let admin: Clients;

before(async () => {
  server = await startTestServer('peers: {watch: 1s}\n');
  admin = server.connect(await server.admin('root', 'admin'));
});
after(() => server.close());

describe('a change', () => {
  it('goes from session to permit to the word of the peers to VERIFIED, as operators see it', async () => {
    const node = server.connect(await server.enrol('s1', 'control-plane', ['10.1.0.3']));
    const peer = server.connect(await server.enrol('s2', 'worker', ['10.1.0.4']));
    // 1. both agents are there
    const [own, other] = [node.agent.session(), peer.agent.session()];
    const kubelet = { component: Component.KUBELET, state: ComponentState.PENDING, unit: 'kubelet.service' };
    other.write({ message: { case: 'hello', value: { mode: AgentMode.ENFORCE, components: [kubelet] } } });
    own.write({
      message: { case: 'hello', value: { mode: AgentMode.ENFORCE, nodeTime: timestampFromMs(Date.now() + 90_000) } },
    });
    for await (const { message } of own) {
      assert.equal(message.case === 'settings' && message.value.cluster?.name, 'lab');
      break;
    }
    await until(
      async () => (await admin.fleet.getFleetStatus({})).nodes.find((it) => it.name === 's2')?.online === true,
      'online',
    );
    // 2. the first session was left by its reader: it is over, another takes its place
    const session = node.agent.session();
    session.write({
      message: { case: 'hello', value: { mode: AgentMode.ENFORCE, nodeTime: timestampFromMs(Date.now() + 90_000) } },
    });
    await until(async () => (await admin.fleet.getNode({ name: 's1' })).node?.online === true, 's1 is back');
    // 3. certificate and permit
    const { certificates } = await node.certificates.issueCertificates({
      requests: [await wishFor('kube-apiserver-serving')],
    });
    const serial = certificates[0]?.serial ?? '';
    const asked = { components: [Component.KUBE_APISERVER], changeId: 'x1', reason: 'new certificates' };
    const { permitId } = await node.agent.acquireRestartPermit(asked);
    assert.equal((await node.agent.acquireRestartPermit(asked)).permitId, permitId);
    assert.deepEqual(
      (await admin.rollout.getRollout({})).rollout?.permits.map((it) => it.node),
      ['s1'],
    );
    // 4. the peer is asked and answers
    const answering = (async () => {
      for await (const { message } of other) {
        if (message.case !== 'peerQuestion') continue;
        assert.deepEqual([message.value.node, message.value.serial], ['s1', serial]);
        assert.deepEqual(message.value.endpoints, ['10.1.0.3:6443']);
        const confirmations = [{ source: 'handshake 10.1.0.3:6443', line: 'shows the serial' }];
        other.write({
          message: {
            case: 'peerAnswer',
            value: { questionId: message.value.questionId, concerned: true, confirmations },
          },
        });
        return;
      }
    })();
    const request = {
      permitId,
      component: Component.KUBE_APISERVER,
      endpoints: ['10.1.0.3:6443', '8.8.8.8:53'],
      serial,
    };
    const { check } = await node.agent.checkPeers(request, { deadlineMs: 30_000 });
    await answering;
    assert.equal(check?.result, CheckResult.PASSED);
    assert.equal(check?.evidence[0]?.source, 'node s2: handshake 10.1.0.3:6443');
    // 5. reported, believed, seen
    const status = {
      component: Component.KUBE_APISERVER,
      state: ComponentState.VERIFIED,
      certificates: [{ profile: Profile.KUBE_APISERVER_SERVING, serial }],
    };
    session.write({ message: { case: 'report', value: status } });
    await until(async () => (await admin.fleet.getFleetStatus({})).componentsVerified === 1, 'verified');
    const seen = await admin.fleet.getVerification({ node: 's1', component: Component.KUBE_APISERVER });
    assert.equal(seen.status?.state, ComponentState.VERIFIED);
    await node.agent.releaseRestartPermit({ permitId });
    assert.deepEqual((await admin.rollout.getRollout({})).rollout?.permits, []);
    // 6. what operators are told
    const { warnings } = await admin.fleet.getFleetStatus({});
    assert.ok(
      warnings.some((it) => /the clock of s1 is \d+ s ahead/.test(it)),
      warnings.join('; '),
    );
    const kinds = (await admin.fleet.listEvents({ node: 's1' })).events.map((it) => it.kind);
    for (const kind of ['node.online', 'permit.granted', 'peers.confirmed', 'component.verified', 'permit.released']) {
      assert.ok(kinds.includes(kind), `${kind} in ${kinds.join(', ')}`);
    }
    session.close();
    other.close();
  });

  it('is not VERIFIED by the word of its own agent, and stops the rollout when it failed', async () => {
    const node = server.connect(await server.enrol('s3', 'worker'));
    // given back before the report arrives, as it may be: another call is another stream
    const { permitId } = await node.agent.acquireRestartPermit({ components: [Component.KUBELET], changeId: 'x' });
    await node.agent.releaseRestartPermit({ permitId });
    const session = node.agent.session();
    const report = (state: ComponentState, restarts: number) =>
      session.write({
        message: { case: 'report', value: { component: Component.KUBELET, state, restarts, reason: 'agent says so' } },
      });
    session.write({ message: { case: 'hello', value: {} } });
    report(ComponentState.VERIFYING, 1);
    report(ComponentState.VERIFIED, 1);
    const stateOf = async () => (await admin.fleet.getNode({ name: 's3' })).components[0]?.state;
    await until(async () => (await stateOf()) === ComponentState.FAILED, 'failed');
    const { rollout } = await admin.rollout.getRollout({});
    assert.deepEqual([rollout?.paused, rollout?.node], [true, 's3']);
    assert.match(rollout?.reason ?? '', /not confirmed by peers/);
    const refused = await failureOf(
      node.agent.acquireRestartPermit({ components: [Component.KUBELET], changeId: 'y' }),
    );
    assert.equal(refused.reason, 'policy-refused');
    assert.ok((await admin.fleet.getFleetStatus({})).warnings.some((it) => it.startsWith('the rollout is paused')));
    assert.equal((await admin.rollout.resumeRollout({})).rollout?.paused, false);
    session.close();
  });

  it('of etcd is no matter of a worker', async () => {
    const node = server.connect(await server.enrol('s4', 'worker'));
    const refused = await failureOf(node.agent.acquireRestartPermit({ components: [Component.ETCD], changeId: 'z' }));
    assert.equal(refused.reason, 'policy-refused');
  });
});

describe('sessions', () => {
  it('end when another of the same node begins', async () => {
    const credentials = await server.enrol('t1', 'worker');
    const first = server.connect(credentials).agent.session();
    first.write({ message: { case: 'hello', value: {} } });
    const over = failureOf(
      (async () => {
        for await (const _ of first);
      })(),
    );
    await until(async () => (await admin.fleet.getNode({ name: 't1' })).node?.online === true, 'online');
    const second = server.connect(credentials).agent.session();
    second.write({ message: { case: 'hello', value: {} } });
    assert.equal((await over).reason, 'conflict');
    second.close();
  });

  it('go offline when the connection breaks', async () => {
    const client = server.connect(await server.enrol('t2', 'worker'));
    const session = client.agent.session();
    session.write({ message: { case: 'hello', value: {} } });
    const isOnline = async () => (await admin.fleet.getNode({ name: 't2' })).node?.online;
    await until(async () => (await isOnline()) === true, 'online');
    client.connection.close();
    await until(async () => (await isOnline()) === false, 'offline');
  });
});

describe('queries', () => {
  it('tell what they do not know', async () => {
    assert.equal((await failureOf(admin.fleet.getNode({ name: 'nobody' }))).reason, 'not-found');
    const verification = admin.fleet.getVerification({ node: 'nobody', component: Component.ETCD });
    assert.equal((await failureOf(verification)).reason, 'not-found');
    const page = create(PageSchema, { pageSize: 5000 });
    assert.equal((await failureOf(admin.fleet.listNodes({ page }))).reason, 'invalid-request');
    const token = create(PageSchema, { pageToken: 'garbage' });
    assert.equal((await failureOf(admin.fleet.listEvents({ page: token }))).reason, 'invalid-request');
  });

  it('page through nodes and filter them', async () => {
    const session = server.connect(await server.enrol('p1', 'etcd', ['10.1.0.41'])).agent.session();
    await server.enrol('p2', 'control-plane', ['10.1.0.42']);
    const etcd = { component: Component.ETCD, state: ComponentState.DETECTED };
    session.write({ message: { case: 'hello', value: { mode: AgentMode.ENFORCE, components: [etcd] } } });
    await until(async () => (await admin.fleet.getNode({ name: 'p1' })).components.length === 1, 'what p1 says');
    const all = (await admin.fleet.listNodes({})).nodes.map((it) => it.name);
    const paged: string[] = [];
    let pageToken = '';
    do {
      const answer = await admin.fleet.listNodes({ page: create(PageSchema, { pageSize: 2, pageToken }) });
      paged.push(...answer.nodes.map((it) => it.name));
      pageToken = answer.nextPageToken;
    } while (pageToken !== '');
    assert.deepEqual(paged, all);
    assert.ok(['p1', 'p2'].every((name) => all.includes(name)));
    const planes = await admin.fleet.listNodes({ role: NodeRole.CONTROL_PLANE });
    assert.ok(
      planes.nodes.some((it) => it.name === 'p2') && planes.nodes.every((it) => it.role === NodeRole.CONTROL_PLANE),
    );
    const detected = await admin.fleet.listNodes({ componentState: ComponentState.DETECTED });
    assert.deepEqual(
      detected.nodes.map((it) => it.name),
      ['p1'],
    );
  });

  it('show the four authorities with their pins', async () => {
    const { authorities } = await admin.fleet.getFleetStatus({});
    assert.equal(authorities.length, 4);
    assert.equal(authorities[0]?.publicKeyPin, server.authorities.certificate('fleet').publicKeyPin);
  });
});
