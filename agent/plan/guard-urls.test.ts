import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { FakeCluster } from './fake-cluster.ts';
import { apiserverCommand } from './fake-parts.ts';
import { on } from './plan-for-tests.ts';

/** The problems of cp1 whose etcd has these variables. */
async function problemsOf(defaults: string, test: (messages: string[]) => void): Promise<void> {
  await on(FakeCluster.controlPlane({ apiserver: apiserverCommand, etcd: { defaults } }), async (cluster) => {
    const { problems } = await cluster.plan();
    test(problems.flatMap(({ component, message }) => (component === 'etcd' ? [message] : [])));
  });
}

describe('an etcd is held up by', () => {
  const rows: [setting: string, variables: string, shown: string][] = [
    ['listen-client-urls', 'ETCD_LISTEN_CLIENT_URLS=127.0.0.1:2379', '127.0.0.1:2379'],
    [
      'listen-client-urls',
      'ETCD_LISTEN_CLIENT_URLS=http://127.0.0.1:2379,tcp://10.77.0.10:2379',
      'tcp://10.77.0.10:2379',
    ],
    ['listen-client-urls', 'ETCD_LISTEN_CLIENT_URLS=http://127.0.0.1', 'http://127.0.0.1'],
    ['advertise-client-urls', 'ETCD_ADVERTISE_CLIENT_URLS=cp1.lan:2379', 'cp1.lan:2379'],
    ['listen-peer-urls', 'ETCD_LISTEN_PEER_URLS=http:/10.77.0.10:2380', 'http:/10.77.0.10:2380'],
    ['initial-advertise-peer-urls', 'ETCD_INITIAL_ADVERTISE_PEER_URLS=10.77.0.10:2380', '10.77.0.10:2380'],
    ['listen-metrics-urls', 'ETCD_LISTEN_METRICS_URLS=:2381', ':2381'],
    ['listen-client-http-urls', 'ETCD_LISTEN_CLIENT_HTTP_URLS=::1:2382', '::1:2382'],
    ['initial-cluster', 'ETCD_INITIAL_CLUSTER=cp1=http://10.77.0.10:2380,cp2=10.77.0.12:2380', '10.77.0.12:2380'],
  ];
  for (const [setting, variables, shown] of rows) {
    it(`--${setting} with ${shown}`, () =>
      problemsOf(`${variables}\n`, (messages) => {
        assert.equal(messages[0]?.split(', which is no URL')[0], `--${setting} holds ${shown}`);
      }));
  }
});

describe('an etcd is not held up by', () => {
  for (const url of ['HTTP://127.0.0.1:2379', 'http://[::]:2379', 'http://127.0.0.1:2379/', 'unix://localhost:2379']) {
    it(url, () =>
      problemsOf(`ETCD_LISTEN_CLIENT_URLS=http://127.0.0.1:2379,${url}\n`, (messages) =>
        assert.deepEqual(messages, []),
      ),
    );
  }
});
