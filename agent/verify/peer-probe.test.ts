import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { before, describe, it, type TestContext } from 'node:test';
import type { TLSSocket } from 'node:tls';
import { systemClock } from '../../common/time/clock.ts';
import type { Detected } from '../detect/detected.ts';
import {
  detectedAdmin,
  detectedApiserver,
  detectedEtcd,
  detectedKubelet,
  detectedManager,
  detectedProxy,
} from './detected-for-tests.ts';
import { type PeerQuestion, type PeerWord, probeAsPeer } from './peer-probe.ts';
import {
  folderOf,
  kubeconfigText,
  serveTls,
  type TestAuthority,
  type TestLeaf,
  testAuthority,
} from './pki-for-tests.ts';
import { type Probe, probe } from './probe.ts';

const signal = new AbortController().signal;

describe('probeAsPeer', () => {
  let authority: TestAuthority;
  let strangers: TestAuthority;
  let serving: TestLeaf;
  let client: TestLeaf;
  let stranger: TestLeaf;

  before(async () => {
    authority = await testAuthority('kubernetes');
    strangers = await testAuthority('kubernetes');
    serving = await authority.issue();
    client = await authority.issue({ commonName: 'system:node:w1', usages: ['client'] });
    stranger = await strangers.issue({ commonName: 'system:node:w1', usages: ['client'] });
  });

  /** Answers 200 to callers of the CA and 401 to others. */
  async function serve(test: TestContext): Promise<number> {
    const options = { requestCert: true, rejectUnauthorized: false, ca: authority.rootsPem };
    return serveTls(
      test,
      serving,
      (request, response) => {
        const { authorized } = request.socket as TLSSocket; // the server is an https server
        response.writeHead(authorized ? 200 : 401).end(authorized ? 'ok' : 'Unauthorized');
      },
      options,
    );
  }

  function ask(question: Partial<PeerQuestion>, components: Detected[], asker: Probe = probe): Promise<PeerWord> {
    const whole: PeerQuestion = { component: 'kube-apiserver', endpoints: [], serial: serving.serial, ...question };
    return probeAsPeer({ clock: systemClock, probe: asker }, whole, components, signal);
  }

  function text(word: PeerWord): string {
    const lines = (kind: 'confirmations' | 'complaints' | 'notes') =>
      word[kind].map(({ source, line }) => `${kind} ${source}: ${line}`);
    return [...lines('confirmations'), ...lines('complaints'), ...lines('notes')].join('\n');
  }

  describe('as a kubelet', () => {
    const kubelet = (port: number, roots: TestAuthority, leaf: TestLeaf) =>
      detectedKubelet({ kubeconfig: kubeconfigText(port, roots.rootsPem, leaf) });

    it('confirms an API server that it trusts and that knows it', async (test) => {
      const port = await serve(test);
      const word = await ask({ endpoints: [`127.0.0.1:${port}`] }, [kubelet(port, authority, client)]);
      assert.match(text(word), /^confirmations kubelet to https:\/\/127\.0\.0\.1:\d+: answered 200 .*$/);
      assert.equal(word.concerned, true);
    });

    it('complains of a certificate that it does not trust, which the API server itself never hears of', async (test) => {
      const port = await serve(test);
      const word = await ask({ endpoints: [`127.0.0.1:${port}`] }, [kubelet(port, strangers, client)]);
      assert.match(text(word), /^complaints .*not trusted: unknown-authority.*$/);
    });

    it('complains when its own certificate is not believed any more', async (test) => {
      const port = await serve(test);
      const word = await ask({ endpoints: [`127.0.0.1:${port}`] }, [kubelet(port, authority, stranger)]);
      assert.match(text(word), /^complaints .*answered 401 .*"Unauthorized"$/);
    });

    it('complains of another serial, but not behind a load balancer that the question does not name', async (test) => {
      const port = await serve(test);
      const components = [kubelet(port, authority, client)];
      const named = await ask({ endpoints: [`127.0.0.1:${port}`], serial: 'abc' }, components);
      assert.match(text(named), /^complaints .*instead of serial abc$/);
      const balanced = await ask({ endpoints: ['10.0.0.1:6443'], serial: 'abc' }, components);
      assert.match(text(balanced), /^confirmations /);
    });

    it('says nothing either way when the API server cannot be reached or is not ready', async () => {
      const components = [kubelet(6443, authority, client)];
      const gone = await ask({}, components, async () => ({ kind: 'unreachable', detail: 'ECONNREFUSED' }));
      assert.match(text(gone), /^notes .*unreachable: ECONNREFUSED$/);
      const starting: Probe = async () => ({ kind: 'answered', status: 500, body: '', served: undefined });
      assert.match(text(await ask({}, components, starting)), /^notes .*answered 500/);
    });

    it('notes a kubeconfig that cannot be read or that names no certificate', async () => {
      const broken = detectedKubelet({ kubeconfig: 'a: [' });
      const word = await ask({}, [broken]);
      assert.match(text(word), /^notes kubelet: .*cannot be used as kubeconfig/);
      assert.equal(word.concerned, true);
    });
  });

  describe('as any other caller by kubeconfig', () => {
    const callers: [string, (path: string, text: string) => Detected][] = [
      ['kube-controller-manager', (path, text) => detectedManager('kube-controller-manager', {}, { [path]: text })],
      ['kube-scheduler', (path, text) => detectedManager('kube-scheduler', {}, { [path]: text })],
      ['kube-proxy', detectedProxy],
    ];
    for (const [name, detected] of callers) {
      it(`confirms an API server as ${name}, and complains of one that does not believe it`, async (test) => {
        const port = await serve(test);
        const endpoints = [`127.0.0.1:${port}`];
        const by = (leaf: TestLeaf) => detected('/x.conf', kubeconfigText(port, authority.rootsPem, leaf));
        const word = await ask({ endpoints }, [by(client)]);
        assert.match(text(word), new RegExp(`^confirmations ${name} to https://127.0.0.1:\\d+: answered 200 .*$`));
        assert.match(text(await ask({ endpoints }, [by(stranger)])), /^complaints .*answered 401/);
        const etcd = await ask({ component: 'etcd', endpoints }, [by(client)]);
        assert.equal(etcd.concerned, false);
      });
    }

    it('calls with every kubeconfig', async (test) => {
      const port = await serve(test);
      const whole = kubeconfigText(port, authority.rootsPem, client);
      const without = kubeconfigText(port, authority.rootsPem);
      const manager = detectedManager('kube-scheduler', {}, { '/a.conf': whole, '/b.conf': without });
      const word = await ask({ endpoints: [`127.0.0.1:${port}`] }, [manager]);
      assert.match(text(word), /^confirmations .*\nnotes .*\/b\.conf names no CA or no client certificate/);
    });

    it('complains of nobody when its own certificate has ended', async (test) => {
      const port = await serve(test);
      const ended = await authority.issue({ notAfter: new Date(Date.now() - 60_000) });
      const proxy = detectedProxy('/x.conf', kubeconfigText(port, authority.rootsPem, ended));
      const word = await ask({ endpoints: [`127.0.0.1:${port}`] }, [proxy]);
      assert.match(text(word), /^notes .*names a client certificate that ended at/);
    });

    it('has no word as an administrator: a kubeconfig that was left behind must not hold up API servers', async () => {
      const word = await ask({}, [detectedAdmin({ admin: '/admin.conf' }, 'a: [')]);
      assert.deepEqual(word, { concerned: false, confirmations: [], complaints: [], notes: [] });
    });

    it('takes any serial where the question knows none', async (test) => {
      const port = await serve(test);
      const proxy = detectedProxy('/x.conf', kubeconfigText(port, authority.rootsPem, client));
      const word = await ask({ endpoints: [`127.0.0.1:${port}`], serial: '' }, [proxy]);
      assert.match(text(word), /^confirmations /);
    });
  });

  describe('as an API server', () => {
    async function apiserver(test: TestContext, flags: Record<string, string>) {
      const folder = await folderOf(test, { client, stranger });
      await writeFile(join(folder, 'ca.crt'), authority.rootsPem);
      await writeFile(join(folder, 'old-ca.crt'), strangers.rootsPem);
      const named = Object.entries(flags).map(([name, value]) => [name, value.replace('FOLDER', folder)]);
      return detectedApiserver(Object.fromEntries(named));
    }
    const asClient = (leaf: string) => ({
      'kubelet-client-certificate': `FOLDER/${leaf}.crt`,
      'kubelet-client-key': `FOLDER/${leaf}.key`,
    });
    const verify = (ca: string) => ({ 'kubelet-certificate-authority': `FOLDER/${ca}` });

    const cases: { what: string; flags: Record<string, string>; serial?: string; want: RegExp }[] = [
      {
        what: 'confirms a kubelet that it trusts',
        flags: { ...asClient('client'), ...verify('ca.crt') },
        want: /^confirmations kube-apiserver to kubelet .*answered 200/,
      },
      {
        what: 'complains of a kubelet that it does not trust',
        flags: { ...asClient('client'), ...verify('old-ca.crt') },
        want: /^complaints .*unknown-authority/,
      },
      {
        what: 'complains of a kubelet that does not believe it',
        flags: { ...asClient('stranger'), ...verify('ca.crt') },
        want: /^complaints .*answered 401/,
      },
      {
        what: 'verifies nothing but the serial where it verifies no kubelet',
        flags: asClient('client'),
        want: /^confirmations .*answered 200/,
      },
      {
        what: 'complains of the serial where it verifies no kubelet',
        flags: asClient('client'),
        serial: 'abc',
        want: /^complaints .*instead of serial abc$/,
      },
      {
        what: 'notes a file that cannot be read',
        flags: { ...asClient('nobody') },
        want: /^notes kube-apiserver: .*nobody\.(crt|key) cannot be read/,
      },
      { what: 'has no word on kubelets without a client certificate for them', flags: {}, want: /^$/ },
    ];
    for (const { what, flags, serial, want } of cases) {
      it(what, async (test) => {
        const endpoints = [`127.0.0.1:${await serve(test)}`];
        const components = [await apiserver(test, flags)];
        const word = await ask(
          { component: 'kubelet', endpoints, ...(serial === undefined ? {} : { serial }) },
          components,
        );
        assert.match(text(word), want);
        assert.equal(word.concerned, Object.keys(flags).length > 0);
      });
    }

    it('has no word on an etcd that it does not use, nor on itself', async (test) => {
      const components = [await apiserver(test, { 'etcd-servers': 'https://10.0.0.9:2379' })];
      const etcd = await ask({ component: 'etcd', endpoints: ['10.0.0.1:2379'] }, components);
      assert.deepEqual(etcd, { concerned: false, confirmations: [], complaints: [], notes: [] });
      assert.equal((await ask({ component: 'kube-apiserver' }, components)).concerned, false);
    });

    for (const servers of ['http://10.0.0.1:2379', '10.0.0.1:2379', 'https://10.0.0.9:2379,"HTTP://10.0.0.1:2379"']) {
      it(`notes that it still names an etcd in plaintext: ${servers}`, async (test) => {
        const components = [await apiserver(test, { 'etcd-servers': servers })];
        const word = await ask({ component: 'etcd', endpoints: ['10.0.0.1:2379'] }, components);
        assert.match(text(word), /^notes .*--etcd-servers still names http:\/\/10\.0\.0\.1:2379$/);
      });
    }
  });

  describe('as an etcd member', () => {
    async function member(test: TestContext, port: number, roots: TestAuthority) {
      const folder = await folderOf(test, { peer: client });
      await writeFile(join(folder, 'peer-ca.crt'), roots.rootsPem);
      const detected = detectedEtcd({
        'listen-client-urls': 'http://127.0.0.1:2379',
        'peer-cert-file': join(folder, 'peer.crt'),
        'peer-key-file': join(folder, 'peer.key'),
        'peer-trusted-ca-file': join(folder, 'peer-ca.crt'),
      });
      const list = {
        header: { cluster_id: '1', member_id: '1' },
        members: [
          { ID: '1', name: 'cp1', peerURLs: ['https://10.0.0.1:2380'] },
          { ID: '2', name: 'cp2', peerURLs: [`https://127.0.0.1:${port}`] },
          { ID: '3', name: 'cp3', peerURLs: ['https://10.0.0.3:2380'] },
        ],
      };
      const asker: Probe = async (request) => {
        if (request.path !== '/v3/cluster/member/list') return probe(request);
        return { kind: 'answered', status: 200, body: JSON.stringify(list), served: undefined };
      };
      return { detected, asker };
    }

    it('calls the peer URL of the member in question with its peer certificate, and no other', async (test) => {
      const { detected, asker } = await member(test, await serve(test), authority);
      const word = await ask({ component: 'etcd', endpoints: ['127.0.0.1:2379'] }, [detected], asker);
      assert.match(text(word), /^confirmations etcd to peer 127\.0\.0\.1:\d+: answered 200 .*$/);
    });

    it('complains of a peer that it does not trust', async (test) => {
      const { detected, asker } = await member(test, await serve(test), strangers);
      const word = await ask({ component: 'etcd', endpoints: ['127.0.0.1:2379'] }, [detected], asker);
      assert.match(text(word), /^complaints etcd to peer .*unknown-authority/);
    });

    it('has no word on members of other clusters', async (test) => {
      const { detected, asker } = await member(test, 1, authority);
      const word = await ask({ component: 'etcd', endpoints: ['10.9.9.9:2379'] }, [detected], asker);
      assert.equal(word.concerned, false);
    });
  });
});
