/** The end of a node over the wire: what it can do afterwards, what waited for it, and how its name comes back. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import type { AppError } from '../../common/errors/app-error.ts';
import { until } from '../../common/time/until-for-tests.ts';
import { generateKey } from '../../common/x509/keys.ts';
import {
  AgentMode,
  Authority,
  Component,
  ComponentState,
  NodeRole,
  RotationPhase,
} from '../../proto/gen/kubemtls/v1/types_pb.js';
import { bearer, type Clients, csrOf, failureOf, startTestServer, type TestServer, wishFor } from './server-fixture.ts';

describe('a node that is removed', () => {
  let server: TestServer;
  let admin: Clients;
  let gone: Clients;
  let stays: Clients;
  let over: Promise<AppError>;

  /** A session with a kubelet in this state. */
  const open = async (clients: Clients, name: string, component: Component) => {
    const session = clients.agent.session();
    const ended = failureOf(drain(session));
    const components = [{ component, state: ComponentState.APPLYING }];
    session.write({ message: { case: 'hello', value: { mode: AgentMode.ENFORCE, components } } });
    await until(async () => (await admin.fleet.getNode({ name })).components.length === 1, `${name} has said hello`);
    return { session, ended };
  };
  const waitingFor = async () => (await admin.authorities.getAuthorityRotation({})).rotation?.waitingFor ?? [];
  const etcd = { components: [Component.ETCD], reason: 'new certificate' };

  before(async () => {
    server = await startTestServer();
    admin = server.connect(await server.admin('boss', 'admin'));
    gone = server.connect(await server.enrol('cp1', 'control-plane'));
    stays = server.connect(await server.enrol('cp2', 'control-plane'));
    over = (await open(gone, 'cp1', Component.ETCD)).ended;
    await admin.authorities.startAuthorityRotation({ authorities: [Authority.KUBERNETES], automatic: true });
    await gone.agent.acquireRestartPermit(etcd);
  });
  after(() => server.close());

  it('is removed by administrators with the role admin alone', async () => {
    const viewer = server.connect(await server.admin('eye', 'viewer'));
    const operator = server.connect(await server.admin('op', 'operator'));
    for (const caller of [viewer, operator, stays]) {
      assert.equal((await failureOf(caller.authorities.removeNode({ name: 'cp1' }))).reason, 'policy-refused');
    }
    assert.equal((await failureOf(admin.authorities.removeNode({ name: 'cp9' }))).reason, 'node-unknown');
    assert.match((await failureOf(stays.agent.acquireRestartPermit(etcd))).message, /cp1 holds the permit for etcd/);
  });

  it('holds nothing up any more: neither the permits of others nor the phase of a change of roots', async () => {
    const { session } = await open(stays, 'cp2', Component.ADMIN);
    session.write({ message: { case: 'survey', value: { components: [], trustGeneration: 1000n } } });
    await until(async () => (await waitingFor()).every((text) => text.startsWith('cp1: ')), 'cp1 alone is waited for');
    assert.equal((await waitingFor()).length, 1);
    await admin.authorities.removeNode({ name: 'cp1' });
    const { rotation } = await admin.authorities.getAuthorityRotation({});
    assert.notEqual(rotation?.phase, RotationPhase.TRUST, 'it went on by itself');
    assert.ok((await stays.agent.acquireRestartPermit(etcd)).permitId);
    assert.equal((await admin.fleet.getFleetStatus({})).nodesTotal, 1);
    const { nodes } = await admin.fleet.listNodes({});
    assert.deepEqual(
      nodes.map(({ name, removed, components }) => [name, removed, components.length]),
      [
        ['cp1', true, 0],
        ['cp2', false, 0],
      ],
    );
    const { events } = await admin.fleet.listEvents({ kind: 'node.removed' });
    assert.deepEqual(
      events.map(({ actor, source, node }) => [actor, source, node]),
      [['admin/boss', '127.0.0.1', 'cp1']],
    );
  });

  it('is told why its session ends, and is refused whatever it calls, on the connection that it has too', async () => {
    assert.equal((await over).reason, 'node-revoked');
    const requests = [await wishFor('kubelet-client')];
    const csr = csrOf(await generateKey('ecdsa-p256'));
    const calls = [
      drain(gone.agent.session()),
      gone.agent.acquireRestartPermit(etcd),
      gone.certificates.getTrustBundles({}),
      gone.certificates.issueCertificates({ requests }),
      gone.certificates.renewIdentity({ csr }),
    ];
    for (const { reason } of await Promise.all(calls.map(failureOf))) assert.equal(reason, 'node-revoked');
  });

  it('comes back with a new key on the word of an operator, and its old identity does not', async () => {
    const asToken = { role: NodeRole.CONTROL_PLANE, nodeNames: ['cp1'], addresses: ['10.9.1.1'] };
    const enrol = async (allowReenroll: boolean) => {
      const { token } = await admin.tokens.createToken({ ...asToken, allowReenroll });
      const key = await generateKey('ecdsa-p256');
      const { enrolment } = server.connect(undefined, server.bootstrapPort);
      const answer = await enrolment.enrollNode({ nodeName: 'cp1', csr: csrOf(key) }, bearer(token));
      return server.connect({ certPem: answer.certificatePem, keyPem: key.pem });
    };
    assert.equal((await failureOf(enrol(false))).reason, 'node-revoked');
    const back = await enrol(true);
    assert.ok((await back.certificates.getTrustBundles({})).bundles.length > 0);
    assert.equal((await failureOf(gone.certificates.getTrustBundles({}))).reason, 'unauthenticated');
    assert.equal((await admin.fleet.getFleetStatus({})).nodesTotal, 2);
  });
});

async function drain(stream: AsyncIterable<unknown>): Promise<void> {
  for await (const message of stream) void message;
}
