import assert from 'node:assert/strict';
import type { NetworkInterfaceInfo } from 'node:os';
import { describe, it } from 'node:test';
import { refused } from './init-for-tests.ts';
import { chooseAdvertise, machineOf } from './machine.ts';

const face = (address: string, family: 'IPv4' | 'IPv6', internal = false): NetworkInterfaceInfo => {
  const common = { address, netmask: '', mac: '', internal, cidr: null };
  return family === 'IPv4' ? { ...common, family } : { ...common, family, scopeid: 0 };
};

describe('a machine', () => {
  it('has the addresses that others can reach, IPv4 first', () => {
    const interfaces = {
      lo: [face('127.0.0.1', 'IPv4', true), face('::1', 'IPv6', true)],
      eth0: [face('fe80::1', 'IPv6'), face('FD00:0::7', 'IPv6'), face('169.254.3.4', 'IPv4'), face('10.0.0.7', 'IPv4')],
      eth1: [face('192.168.0.7', 'IPv4')],
      gone: undefined,
    };
    assert.deepEqual(machineOf('CP1.Example', interfaces), {
      hostname: 'cp1.example',
      addresses: ['10.0.0.7', '192.168.0.7', 'fd00::7'],
    });
  });

  for (const name of ['(none)', '', 'a b', 'a.']) {
    it(`is called localhost when its name is ${JSON.stringify(name)}`, () => {
      assert.equal(machineOf(name, {}).hostname, 'localhost');
    });
  }
});

describe('chooseAdvertise', () => {
  const machine = { hostname: 'cp1', addresses: ['10.0.0.7', '192.168.0.7', 'fd00::7'] };
  const cases: [what: string, named: string[], endpoint: string, hosts: string[], why: RegExp | undefined][] = [
    [
      'what was named',
      ['ca.example', '10.0.0.9', 'ca.example'],
      '192.168.0.7:6443',
      ['ca.example', '10.0.0.9'],
      undefined,
    ],
    ['an endpoint of this machine', [], '192.168.0.7:6443', ['192.168.0.7'], /API endpoint/],
    ['an IPv6 endpoint of this machine', [], '[FD00::0:7]:6443', ['fd00::7'], /API endpoint/],
    ['the first address for an endpoint elsewhere', [], '10.0.0.99:6443', ['10.0.0.7'], /first address/],
    ['the first address for an endpoint by name', [], 'lb.example:6443', ['10.0.0.7'], /first address/],
    ['the first address for an endpoint on loopback', [], '127.0.0.1:6443', ['10.0.0.7'], /first address/],
  ];
  for (const [what, named, endpoint, hosts, why] of cases) {
    it(`takes ${what}`, () => {
      const choice = chooseAdvertise(named, endpoint, machine);
      assert.deepEqual(choice.hosts, hosts);
      if (why === undefined) assert.equal(choice.why, undefined);
      else assert.match(choice.why ?? '', why);
    });
  }

  it('asks for a name where the machine has no address', () => {
    const lonely = { hostname: 'cp1', addresses: [] };
    assert.throws(() => chooseAdvertise([], 'lb:6443', lonely), refused('invalid-request', /--advertise/));
    assert.deepEqual(chooseAdvertise(['ca'], 'lb:6443', lonely).hosts, ['ca']);
  });
});
