import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { AppError } from '../../common/errors/app-error.ts';
import { firstAddressOf, formatEndpoint, parseEndpoint, parseHost } from './endpoints.ts';
import { renderServerConfig } from './render-server-config.ts';
import { bootstrapEndpoint, fleetEndpoint, loadServerConfig, parseServerConfig } from './server-config.ts';

const refused = (words: RegExp) => (error: unknown) =>
  error instanceof AppError && error.reason === 'invalid-request' && words.test(error.message);

const smallest = 'cluster: {name: lab, apiEndpoint: "cp1:6443"}\nadvertise: [cp1]\n';

describe('parseServerConfig', () => {
  it('needs the name of the cluster, the endpoint and an advertised host; everything else has a default', () => {
    assert.deepEqual(parseServerConfig(smallest, 's.yaml'), {
      cluster: {
        name: 'lab',
        apiEndpoint: 'cp1:6443',
        serviceCidr: '10.96.0.0/12',
        serviceAddress: '10.96.0.1',
        dnsDomain: 'cluster.local',
      },
      listen: { bootstrap: { host: '0.0.0.0', port: 9443 }, fleet: { host: '0.0.0.0', port: 9444 } },
      connectionsPerAddress: { bootstrap: 32, fleet: 1024 },
      advertise: ['cp1'],
      stateFolder: '/var/lib/kube-mtls-server',
      passphraseFile: undefined,
      lifetimes: {
        componentsMs: 31_536_000_000,
        profilesMs: {},
        identityMs: 2_592_000_000,
        adminMs: 31_536_000_000,
        serverMs: 7_776_000_000,
      },
      apiServer: {
        extraNames: [],
        kubeletClientOrganization: 'system:masters',
        adminOrganization: 'system:masters',
      },
      etcd: { extraNames: [] },
      permits: { kubeletShare: 0.1, ttlMs: 120_000, maxAgeMs: 1_800_000 },
      peers: { watchMs: 15_000 },
      verifyKubelets: 'auto',
      logLevel: 'info',
    });
  });

  it('reads every field', () => {
    const config = parseServerConfig(
      `cluster: {name: prod.eu, apiEndpoint: "[FD00::0:1]:443", serviceCidr: "fd01::/112", dnsDomain: K8s.Example}
listen: {bootstrap: "10.0.0.1:19443", fleet: "[::]:19444"}
connectionsPerAddress: {bootstrap: 5, fleet: 2000}
advertise: [10.0.0.1, CP1.example, "fd00:0::5"]
stateFolder: /srv/ca
passphraseFile: /run/secret
lifetimes: {components: 90d, identity: 1d, admin: 30d, server: 12h, profiles: {kubelet-client: 7d, etcd-peer: 10m}}
apiServer: {extraNames: [lb.example, "192.0.2.1"], kubeletClientOrganization: none}
etcd: {extraNames: [etcd.example]}
permits: {kubeletShare: 25%, ttl: 5m, maxAge: 1h}
peers: {watch: 30s}
verifyKubelets: never
logLevel: debug
`,
      's.yaml',
    );
    assert.equal(config.cluster.apiEndpoint, '[fd00::1]:443');
    assert.equal(config.cluster.serviceAddress, 'fd01::1');
    assert.equal(config.cluster.dnsDomain, 'k8s.example');
    assert.deepEqual(config.advertise, ['10.0.0.1', 'cp1.example', 'fd00::5']);
    assert.deepEqual(config.lifetimes.profilesMs, { 'kubelet-client': 604_800_000, 'etcd-peer': 600_000 });
    assert.deepEqual(config.listen.fleet, { host: '::', port: 19444 });
    assert.deepEqual(config.permits, { kubeletShare: 0.25, ttlMs: 300_000, maxAgeMs: 3_600_000 });
    assert.deepEqual(config.apiServer, {
      extraNames: ['lb.example', '192.0.2.1'],
      kubeletClientOrganization: 'none',
      adminOrganization: 'system:masters',
    });
    assert.equal(bootstrapEndpoint(config), '10.0.0.1:19443');
    assert.equal(fleetEndpoint(config), '10.0.0.1:19444');
  });

  const faults: [what: string, text: string, message: RegExp][] = [
    ['nothing', '', /^s\.yaml:1: cluster: is missing; s\.yaml:1: advertise: is missing/],
    ['an unknown field', `${smallest}stateFoldr: /x\n`, /^s\.yaml:3: unknown field stateFoldr/],
    [
      'an unknown profile',
      `${smallest}lifetimes: {profiles: {kubelet: 1d}}\n`,
      /^s\.yaml:3: unknown field lifetimes\.profiles\.kubelet/,
    ],
    [
      'a lifetime below 10 minutes',
      `${smallest}lifetimes: {identity: 9m}\n`,
      /^s\.yaml:3: lifetimes\.identity: 9m is out/,
    ],
    [
      'a share without percent',
      `${smallest}permits: {kubeletShare: "0.1"}\n`,
      /^s\.yaml:3: permits\.kubeletShare: give 1%/,
    ],
    ['a share of nothing', `${smallest}permits: {kubeletShare: 0%}\n`, /kubeletShare: give 1%/],
    ['a cluster name in upper case', smallest.replace('lab', 'Lab'), /^s\.yaml:1: cluster\.name: use a-z/],
    ['a cluster name with a slash', smallest.replace('lab', 'a/b'), /cluster\.name/],
    ['an endpoint without port', smallest.replace('cp1:6443', 'cp1'), /^s\.yaml:1: cluster\.apiEndpoint: "cp1" is not/],
    ['no advertised host', smallest.replace('[cp1]', '[]'), /^s\.yaml:2: advertise/],
    ['an advertised host with port', smallest.replace('[cp1]', '["cp1:9443"]'), /advertise\.0: .*malformed/],
    ['a mistyped address', smallest.replace('[cp1]', '[10.0.0.256]'), /advertise\.0: .*not an IP address/],
    ['another organization', `${smallest}apiServer: {kubeletClientOrganization: root}\n`, /kubeletClientOrganization/],
    ['an administrator without a group', `${smallest}apiServer: {adminOrganization: none}\n`, /adminOrganization/],
    ['an e-mail address as name', `${smallest}apiServer: {extraNames: [a@b]}\n`, /extraNames\.0: .*malformed/],
    ['a relative folder', `${smallest}stateFolder: state\n`, /stateFolder: give an absolute path/],
  ];
  for (const [what, text, message] of faults) {
    it(`refuses ${what} with its line`, () => {
      assert.throws(() => parseServerConfig(text, 's.yaml'), refused(message));
    });
  }

  it('reads back what init writes', () => {
    const options = {
      clusterName: 'lab',
      apiEndpoint: '[fd00::1]:6443',
      serviceCidr: '10.32.0.0/16',
      dnsDomain: 'lab.local',
      advertise: ['fd00::1', 'cp1'],
      stateFolder: '/srv/state',
      apiServerExtraNames: ['lb.example', 'fd00::2'],
      kubeletClientOrganization: 'kubeadm:cluster-admins',
      adminOrganization: 'kubeadm:cluster-admins',
    } as const;
    const config = parseServerConfig(renderServerConfig(options), 's.yaml');
    assert.equal(config.cluster.name, 'lab');
    assert.equal(config.cluster.serviceAddress, '10.32.0.1');
    assert.deepEqual(config.advertise, options.advertise);
    assert.equal(config.stateFolder, '/srv/state');
    assert.deepEqual(config.apiServer, {
      extraNames: options.apiServerExtraNames,
      kubeletClientOrganization: 'kubeadm:cluster-admins',
      adminOrganization: 'kubeadm:cluster-admins',
    });
  });

  it('reads the same when every setting that init comments out is put in force', () => {
    const text = renderServerConfig({
      clusterName: 'lab',
      apiEndpoint: 'cp1:6443',
      serviceCidr: '10.96.0.0/12',
      dnsDomain: 'cluster.local',
      advertise: ['cp1'],
      stateFolder: '/var/lib/kube-mtls-server',
      apiServerExtraNames: [],
      kubeletClientOrganization: 'system:masters',
      adminOrganization: 'system:masters',
    });
    const inForce = text.replace(/^#(?! )(.*)$/gm, '$1').replace(/^#(?= {2})/gm, '');
    assert.match(inForce, /^ {2}kubeletShare: 10%$/m);
    assert.deepEqual(parseServerConfig(inForce, 's.yaml'), {
      ...parseServerConfig(text, 's.yaml'),
      passphraseFile: '/etc/kube-mtls/ca-passphrase',
    });
  });

  it('says to run init when there is no file', async () => {
    await assert.rejects(
      loadServerConfig('/nowhere/server.yaml'),
      (error) => error instanceof AppError && error.reason === 'not-found' && /init first/.test(error.message),
    );
  });
});

describe('endpoints', () => {
  const networks: [cidr: string, first: string][] = [
    ['10.96.0.0/12', '10.96.0.1'],
    ['10.100.7.9/12', '10.96.0.1'],
    ['10.0.0.0/31', '10.0.0.1'],
    ['192.168.255.0/24', '192.168.255.1'],
    ['fd00:10:96::/112', 'fd00:10:96::1'],
    ['0.0.0.0/0', '0.0.0.1'],
  ];
  for (const [cidr, first] of networks) {
    it(`knows ${first} as the first address of ${cidr}`, () => assert.equal(firstAddressOf(cidr), first));
  }
  for (const cidr of ['', '10.0.0.0', '10.0.0.0/32', '10.0.0.0/33', '10.0.0.0/-1', '10.0.0.0/8/8', 'a/8', '10.0.0/8']) {
    it(`takes ${JSON.stringify(cidr)} for no network`, () => {
      assert.throws(() => firstAddressOf(cidr), refused(/is not a network/));
    });
  }

  it('reads and writes endpoints', () => {
    for (const text of ['cp1:6443', '10.0.0.1:1', '[fd00::1]:65535']) {
      assert.equal(formatEndpoint(parseEndpoint(text)), text);
    }
    for (const text of [
      '',
      'cp1',
      'cp1:',
      'cp1:0',
      'cp1:65536',
      ':6443',
      'fd00::1:6443',
      'https://cp1:6443',
      'cp1:6443/x',
    ]) {
      assert.throws(() => parseEndpoint(text), refused(/./), text);
    }
  });

  it('knows one spelling of a host', () => {
    assert.equal(parseHost('CP1.Example'), 'cp1.example');
    assert.equal(parseHost('FD00:0:0::1'), 'fd00::1');
    assert.equal(parseHost('::ffff:10.0.0.1'), '10.0.0.1');
    for (const text of ['', 'a b', '10.0.0.300', '1.2.3', '-a', 'fe80::1%eth0']) {
      assert.throws(() => parseHost(text), refused(/./), text);
    }
  });
});
