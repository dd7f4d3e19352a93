import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type Component, type ComponentState, componentStates } from '../../common/names/names.ts';
import type { ClusterAuthority } from '../authority/import-authority.ts';
import type { FleetComponent } from '../fleet/fleet-state.ts';
import { type CompletionInput, shortened, waitingFor } from './completion.ts';
import { type ReportedRow, reported } from './rotation-for-tests.ts';

const rootOf = (authority: ClusterAuthority) => ({
  authority,
  newPin: `${authority} new`,
  retiredPins: [`${authority} old`],
});
const [kubernetes, etcd, frontProxy] = [rootOf('kubernetes'), rootOf('etcd'), rootOf('front-proxy')];
const both = { kubernetes: ['kubernetes new', 'kubernetes old'] };
const onlyNew = { kubernetes: ['kubernetes new'] };
const onlyOld = { kubernetes: ['kubernetes old'] };
const tls = { members: ['m'] };

function wait(
  phase: CompletionInput['phase'],
  rows: [node: string, component: Component, row?: ReportedRow][],
  roots = [kubernetes],
  moreNodes: CompletionInput['nodes'] = [],
): string[] {
  const components: FleetComponent[] = rows.map(([node, component, row]) => reported(node, component, row));
  const nodes = [
    ...new Map(components.map(({ node, online }) => [node, { name: node, online, surveyed: true }])).values(),
  ];
  return waitingFor({ phase, roots, components, nodes: [...nodes, ...moreNodes] });
}

/** All that call an API server, a kubelet or an etcd. */
const CALLERS = ['kube-apiserver', 'kube-controller-manager', 'kube-scheduler', 'kubelet', 'kube-proxy'] as const;

type Row = [what: string, expected: string[], ...wish: Parameters<typeof wait>];

describe('the phase trust', () => {
  const users: Component[] = [
    'kube-apiserver',
    'kube-controller-manager',
    'kube-scheduler',
    'kubelet',
    'kube-proxy',
    'admin',
  ];
  for (const component of users) {
    it(`waits for ${component} to trust the new kubernetes CA`, () => {
      assert.deepEqual(wait('trust', [['n1', component, { trust: onlyOld }]]), [
        `n1: ${component} does not trust the new kubernetes CA yet`,
      ]);
      assert.deepEqual(wait('trust', [['n1', component]]).length, 1);
      assert.deepEqual(wait('trust', [['n1', component, { trust: both }]]), []);
    });
  }

  const steady: ComponentState[] = ['detected', 'pending', 'verified', 'degraded'];
  for (const state of componentStates.all) {
    it(`${steady.includes(state) ? 'takes' : 'does not take'} ${state} for steady`, () => {
      const sentences = wait('trust', [['n1', 'kubelet', { state, trust: both, reason: 'so' }]]);
      const changing = `n1: kubelet is being changed (${state})`;
      // a permit may be waited for without end, say in a paused rollout
      const stuck = state === 'failed' || state === 'rolled-back' || state === 'waiting-for-permit';
      const expected = stuck ? `n1: kubelet is ${state}: so` : changing;
      assert.deepEqual(sentences, steady.includes(state) ? [] : [expected]);
    });
  }

  it('says why a component does not trust yet, where its agent said it', () => {
    const row = { state: 'detected', trust: onlyOld, reason: 'observing only; would change: client-ca.crt' } as const;
    assert.deepEqual(wait('trust', [['n1', 'kubelet', row]]), [
      'n1: kubelet does not trust the new kubernetes CA yet',
      'n1: kubelet is detected: observing only; would change: client-ca.crt',
    ]);
  });

  const away = 'start its agent (systemctl start kube-mtls-agent)';
  const rows: Row[] = [
    ['an etcd, of the kubernetes CA nothing', [], 'trust', [['e1', 'etcd', { etcd: tls }]]],
    [
      'an etcd and its API server, of the etcd CA something',
      ['e1: etcd does not trust the new etcd CA yet', 'e1: kube-apiserver does not trust the new etcd CA yet'],
      'trust',
      [
        ['e1', 'etcd', { etcd: tls }],
        ['e1', 'kube-apiserver'],
        ['e1', 'kubelet'],
      ],
      [etcd],
    ],
    [
      'a plaintext etcd and its API server, nothing',
      [],
      'trust',
      [
        ['e1', 'etcd', { etcd: { ...tls, plaintext: true } }],
        ['e1', 'kube-apiserver'],
      ],
      [etcd],
    ],
    [
      'an API server beside etcds of which one speaks TLS',
      ['a1: kube-apiserver does not trust the new etcd CA yet'],
      'trust',
      [
        ['a1', 'kube-apiserver'],
        ['e1', 'etcd', { etcd: { ...tls, plaintext: true } }],
        ['e2', 'etcd', { etcd: tls, trust: { etcd: ['etcd new'] } }],
      ],
      [etcd],
    ],
    [
      'an API server that trusts an etcd of which no agent tells',
      ['a1: kube-apiserver does not trust the new etcd CA yet'],
      'trust',
      [['a1', 'kube-apiserver', { trust: { etcd: ['etcd old'] } }]],
      [etcd],
    ],
    [
      'an API server, of the front-proxy CA something; a kubelet nothing',
      ['a1: kube-apiserver does not trust the new front-proxy CA yet'],
      'trust',
      [
        ['a1', 'kube-apiserver'],
        ['a1', 'kubelet'],
      ],
      [frontProxy],
    ],
    [
      'a controller manager that has a front-proxy CA',
      ['a1: kube-controller-manager does not trust the new front-proxy CA yet'],
      'trust',
      [['a1', 'kube-controller-manager', { trust: { 'front-proxy': ['front-proxy old'] } }]],
      [frontProxy],
    ],
    [
      'a node that is away, whatever it said before',
      [`w1: it is not connected, so that nobody knows how its kubelet, kube-proxy stands; ${away}`],
      'trust',
      [
        ['w1', 'kubelet', { online: false, trust: both }],
        ['w1', 'kube-proxy', { online: false, trust: both }],
      ],
    ],
    ['a node that is away and has nothing to do with it', [], 'trust', [['w1', 'kubelet', { online: false }]], [etcd]],
    [
      'a node that never said anything',
      [`w2: it is not connected and never said what runs there; ${away}`],
      'trust',
      [['w1', 'kubelet', { trust: both }]],
      [kubernetes],
      [{ name: 'w2', online: false, surveyed: false }],
    ],
    [
      'a node on which nothing runs',
      [],
      'trust',
      [['w1', 'kubelet', { trust: both }]],
      [kubernetes],
      [{ name: 'w2', online: true, surveyed: true }],
    ],
    [
      'a node that joined just now, of which nobody knows what runs there',
      [
        'w2: its agent has not looked at the whole node in this phase yet; if it stays so, see journalctl -u kube-mtls-agent there',
      ],
      'trust',
      [['w1', 'kubelet', { trust: both }]],
      [kubernetes],
      [{ name: 'w2', online: true, surveyed: false }],
    ],
    ['a fleet without nodes', ['no node has joined yet: join the nodes of the cluster first'], 'trust', []],
  ];
  for (const [what, expected, ...wish] of rows)
    it(`expects of ${what}`, () => assert.deepEqual(wait(...wish), expected));
});

describe('the phase reissue', () => {
  const issued = { 'kubelet-client': 'kubernetes new', 'kubelet-serving': 'kubernetes new' } as const;
  const rows: Row[] = [
    ['is complete when all is reissued', [], 'reissue', [['w1', 'kubelet', { issuers: issued }]]],
    [
      'waits while a component that was not restarted may show its old certificate to others',
      ['w1: kubelet may show the old certificate where it calls for 30 s more'],
      'reissue',
      [['w1', 'kubelet', { issuers: issued, liveAgoMs: 300_000 }]],
    ],
    [
      'is complete once it has read its files again',
      [],
      'reissue',
      [['w1', 'kubelet', { issuers: issued, liveAgoMs: 330_000 }]],
    ],
    ...CALLERS.map(
      (component): Row => [
        `waits for the calls of ${component}, which shows its client certificate by client-go`,
        [`n1: ${component} may show the old certificate where it calls for 330 s more`],
        'reissue',
        [['n1', component, { liveAgoMs: 0 }]],
      ],
    ),
    [
      'waits for no etcd, which reads its files at each handshake',
      [],
      'reissue',
      [['e1', 'etcd', { etcd: tls, liveAgoMs: 0 }]],
      [etcd],
    ],
    [
      'waits for each certificate of the authority',
      [
        'w1: kubelet-client does not come from the new kubernetes CA yet',
        'w1: probe-client does not come from the new kubernetes CA yet',
      ],
      'reissue',
      [['w1', 'kubelet', { issuers: { ...issued, 'kubelet-client': 'kubernetes old', 'probe-client': '' } }]],
    ],
    [
      'does not look at certificates of other authorities',
      [],
      'reissue',
      [
        [
          'a1',
          'kube-apiserver',
          { issuers: { 'kube-apiserver-etcd-client': 'etcd old', 'front-proxy-client': 'old' } },
        ],
        ['a1', 'etcd', { etcd: tls, state: 'failed' }],
      ],
    ],
    [
      'waits for the etcd client of an API server',
      ['a1: kube-apiserver-etcd-client does not come from the new etcd CA yet'],
      'reissue',
      [
        ['a1', 'kube-apiserver', { issuers: { 'kube-apiserver-etcd-client': 'etcd old' } }],
        ['a1', 'etcd', { etcd: tls, issuers: { 'etcd-server': 'etcd new', 'etcd-peer': 'etcd new' } }],
      ],
      [etcd],
    ],
    [
      'waits for the proof',
      ['w1: kubelet is pending: why'],
      'reissue',
      [['w1', 'kubelet', { issuers: issued, state: 'pending', reason: 'why' }]],
    ],
    [
      'says what is being changed',
      ['w1: kubelet is being changed (verifying)'],
      'reissue',
      [['w1', 'kubelet', { issuers: issued, state: 'verifying' }]],
    ],
    [
      'waits for a component without certificates that is not proved',
      ['w1: kube-proxy is detected'],
      'reissue',
      [['w1', 'kube-proxy', { state: 'detected' }]],
    ],
  ];
  for (const [what, expected, ...wish] of rows) it(what, () => assert.deepEqual(wait(...wish), expected));
});

describe('the phase drop', () => {
  const rows: Row[] = [
    ['is complete when nobody trusts the old root', [], 'drop', [['w1', 'kubelet', { trust: onlyNew }]]],
    [
      'waits for who trusts it still',
      ['w1: kubelet trusts the retired kubernetes CA still'],
      'drop',
      [['w1', 'kubelet', { trust: both }]],
    ],
    [
      'does not mind roots that somebody else put there',
      [],
      'drop',
      [['w1', 'kubelet', { trust: { kubernetes: ['kubernetes new', 'of a neighbour'] } }]],
    ],
    [
      'waits for the proof',
      ['w1: kubelet is degraded: why'],
      'drop',
      [['w1', 'kubelet', { trust: onlyNew, state: 'degraded', reason: 'why' }]],
    ],
  ];
  for (const [what, expected, ...wish] of rows) it(what, () => assert.deepEqual(wait(...wish), expected));
});

describe('what a person is told', () => {
  it('is all of it up to twenty sentences, then how many more there are', () => {
    const sentences = (count: number) => Array.from({ length: count }, (_, index) => `w${index}`);
    assert.deepEqual(shortened(sentences(20)), sentences(20));
    assert.deepEqual(shortened(sentences(23)), [...sentences(20), 'and 3 more']);
  });
});
