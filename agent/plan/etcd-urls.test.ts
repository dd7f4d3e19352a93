import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { allSecure, hostAndPort } from './etcd-urls.ts';

describe('the host and the port of a URL', () => {
  const rows: [url: string, host: string, port: string][] = [
    ['http://10.0.0.1:2379', '10.0.0.1', '2379'],
    ['HTTPS://Etcd.lan:2379/', 'etcd.lan', '2379'],
    ['10.0.0.1:2379', '10.0.0.1', '2379'],
    ['etcd.lan', 'etcd.lan', ''],
    ['http://etcd.lan', 'etcd.lan', ''],
    ['http://etcd.lan:80', 'etcd.lan', '80'],
    ['[::1]:2379', '::1', '2379'],
    ['http://[2001:DB8::1]:2379/health?a=b', '2001:db8::1', '2379'],
    [':2379', '', '2379'],
  ];
  for (const [url, host, port] of rows) it(url, () => assert.deepEqual(hostAndPort(url), { host, port }));

  for (const url of [
    'unix:///run/etcd',
    '::1:2379',
    'http:/10.0.0.1:2379',
    'ftp://a:1',
    'a b:2379',
    'a:b',
    'http://a:',
  ]) {
    it(`are not told by ${url}`, () => assert.equal(hostAndPort(url), undefined));
  }
});

describe('a list of URLs', () => {
  const rows: [list: string, secure: boolean][] = [
    ['https://a:2379, HTTPS://b:2379', true],
    ['unix:///run/etcd,https://a:2379', true],
    ['', true],
    ['https://a:2379,HTTP://b:2379', false],
    ['a:2379', false],
  ];
  for (const [list, secure] of rows) {
    it(`${secure ? 'is' : 'is not'} secure: ${list}`, () => assert.equal(allSecure(list), secure));
  }
});
