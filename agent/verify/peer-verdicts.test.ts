import assert from 'node:assert/strict';
import { join } from 'node:path';
import { before, describe, it, type TestContext } from 'node:test';
import { FakeClock } from '../../common/time/fake-clock.ts';
import type { Detected } from '../detect/detected.ts';
import { detectedApiserver, detectedEtcd, detectedKubelet } from './detected-for-tests.ts';
import { type PeerQuestion, probeAsPeer } from './peer-probe.ts';
import { folderOf, kubeconfigText, type TestAuthority, type TestLeaf, testAuthority } from './pki-for-tests.ts';
import type { Probe, ProbeOutcome } from './probe.ts';
import type { RefusedBy } from './probe-errors.ts';

/** The serial that the component in question has to show. */
const SERIAL = '5e1';

function answered(serial: string, status = 200): ProbeOutcome {
  const served = { serial, sha256: '', notAfterMs: 0, issuer: 'CN=kubernetes', tlsVersion: 'TLSv1.3' };
  return { kind: 'answered', status, body: '', served };
}

function refused(by: RefusedBy): ProbeOutcome {
  return { kind: 'refused', by, detail: 'ended', served: undefined };
}

/** What a peer makes of each answer, and how often it asks. */
describe('the word of a peer', () => {
  let authority: TestAuthority;
  let client: TestLeaf;

  before(async () => {
    authority = await testAuthority('kubernetes');
    client = await authority.issue({ usages: ['client'] });
  });

  /** Calls with these outcomes, the last of them again and again. */
  async function ask(question: Omit<PeerQuestion, 'serial'>, detected: Detected, ...outcomes: ProbeOutcome[]) {
    const called: string[] = [];
    const probe: Probe = async ({ host, port }) => {
      const outcome = outcomes[Math.min(called.length, outcomes.length - 1)] ?? assert.fail('called for nothing');
      called.push(`${host}:${port}`);
      return outcome;
    };
    const { signal } = new AbortController();
    const deps = { clock: new FakeClock(), probe };
    const word = await probeAsPeer(deps, { ...question, serial: SERIAL }, [detected], signal);
    const { concerned, confirmations, complaints, notes } = word;
    return { concerned, counts: [confirmations.length, complaints.length, notes.length], called };
  }

  const kubelet = () => detectedKubelet({ kubeconfig: kubeconfigText(6443, authority.rootsPem, client) });
  const alone = { component: 'kube-apiserver' as const, endpoints: ['127.0.0.1:6443'] };
  const shared = { ...alone, endpoints: [], sharedEndpoints: ['127.0.0.1:6443'] };

  const rows: [what: string, outcome: ProbeOutcome, counts: number[]][] = [
    ['a confirmation where the new serial is shown', answered(SERIAL), [1, 0, 0]],
    ['a confirmation where it may not read what it asked for', answered(SERIAL, 403), [1, 0, 0]],
    ['a complaint where it is refused by an alert of TLS', refused('tls-alert'), [0, 1, 0]],
    ['a note where the other side hangs up, as one that restarts does', refused('reset'), [0, 0, 1]],
    [
      'a note where the port speaks plaintext, as a member that is yet to change does',
      refused('plaintext-port'),
      [0, 0, 1],
    ],
    ['a note where the other side is not ready', answered(SERIAL, 500), [0, 0, 1]],
  ];
  for (const [what, outcome, counts] of rows) {
    it(`is ${what}`, async () => assert.deepEqual((await ask(alone, kubelet(), outcome)).counts, counts));
  }

  it('is asked for at a shared address until the server in question answers, and no longer', async () => {
    const { counts, called } = await ask(
      shared,
      kubelet(),
      answered('0'),
      answered('0'),
      answered(SERIAL),
      answered('0'),
    );
    assert.deepEqual([counts, called.length], [[1, 0, 0], 3]);
  });

  it('is given up at a shared address after six calls, and after one where nobody is there', async () => {
    assert.equal((await ask(shared, kubelet(), answered('0'))).called.length, 6);
    assert.equal((await ask(shared, kubelet(), { kind: 'unreachable', detail: '' })).called.length, 1);
  });

  describe('of an API server', () => {
    async function apiserver(test: TestContext, servers: string) {
      const folder = await folderOf(test, { a: client });
      const [cert, key] = [join(folder, 'a.crt'), join(folder, 'a.key')];
      return detectedApiserver({
        ...{ 'etcd-servers': servers, 'etcd-cafile': cert, 'etcd-certfile': cert, 'etcd-keyfile': key },
        ...{ 'kubelet-client-certificate': cert, 'kubelet-client-key': key },
      });
    }

    it('compares the serial of an etcd at its address, and not at a name, which others may have too', async (test) => {
      const detected = await apiserver(test, 'https://10.0.0.1:2379,https://etcd.example:2379');
      const at = (endpoint: string) => ask({ component: 'etcd', endpoints: [endpoint] }, detected, answered('0'));
      assert.deepEqual((await at('10.0.0.1:2379')).counts, [0, 1, 0]);
      assert.deepEqual((await at('etcd.example:2379')).counts, [1, 0, 0]);
    });

    it('compares that of a kubelet in the same way', async (test) => {
      const detected = await apiserver(test, '');
      const at = (endpoint: string) => ask({ component: 'kubelet', endpoints: [endpoint] }, detected, answered('0'));
      assert.deepEqual((await at('10.0.0.2:10250')).counts, [0, 1, 0]);
      assert.deepEqual((await at('w2.example:10250')).counts, [1, 0, 0]);
    });
  });

  it('is none of an etcd member on itself', async () => {
    const detected = detectedEtcd({ 'listen-client-urls': 'http://127.0.0.1:2379' });
    const members = [
      { ID: '1', name: 'cp1', peerURLs: ['http://10.0.0.1:2380'] },
      { ID: '2', name: 'cp2', peerURLs: ['http://10.0.0.2:2380'] },
    ];
    const body = JSON.stringify({ header: { cluster_id: '1', member_id: '1' }, members });
    const list: ProbeOutcome = { kind: 'answered', status: 200, body, served: undefined };
    const of = (host: string) => ask({ component: 'etcd', endpoints: [`${host}:2379`] }, detected, list);
    assert.equal((await of('10.0.0.1')).concerned, false);
    assert.equal((await of('10.0.0.2')).concerned, true);
  });
});
