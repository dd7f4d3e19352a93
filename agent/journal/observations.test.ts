import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Component } from '../../common/names/names.ts';
import { classify } from './classify.ts';
import { entry } from './judge-for-tests.ts';
import { Observations } from './observations.ts';

/** What a component writes of a caller that does not trust it. */
const refusedBy = (host: string) =>
  `rejected connection from "${host}:1" (error "remote error: tls: bad certificate", ServerName "")`;
const unknown = (host: string) =>
  `rejected connection from "${host}:1" (error "tls: failed to verify certificate: x509: certificate signed by unknown authority", ServerName "")`;
const OWN = 'tls: private key does not match public key';

function begin() {
  const told: string[] = [];
  const observations = new Observations(({ component, cause, remote, count }) => {
    told.push(`${component} ${cause} ${remote} ${count}`);
  });
  const add = (message: string, component: Component = 'etcd') => {
    const one = entry('new', message);
    observations.add(component, classify(component, one) ?? assert.fail(message), one);
  };
  /** What was told since it was asked last. */
  const news = () => told.splice(0);
  return { add, news, flush: () => observations.flush() };
}

describe('Observations', () => {
  it('tells what is new at once, and what goes on each minute with its count', () => {
    const { add, news, flush } = begin();
    for (let second = 0; second < 600; second++) add(refusedBy('10.0.0.5'));
    assert.deepEqual(news(), ['1 refused-by-peer 10.0.0.5 1']);
    flush();
    assert.deepEqual(news(), ['1 refused-by-peer 10.0.0.5 599']);
    for (let second = 0; second < 600; second++) add(refusedBy('10.0.0.5'));
    assert.deepEqual(news(), []);
    flush();
    assert.deepEqual(news(), ['1 refused-by-peer 10.0.0.5 600']);
  });

  it('tells at once what begins anew', () => {
    const { add, news, flush } = begin();
    add(refusedBy('10.0.0.5'));
    flush();
    add(refusedBy('10.0.0.5'));
    assert.deepEqual(news(), ['1 refused-by-peer 10.0.0.5 1', '1 refused-by-peer 10.0.0.5 1']);
  });

  it('counts those beyond ten callers together, cause by cause', () => {
    const { add, news, flush } = begin();
    for (let host = 1; host <= 200; host++) add(refusedBy(`10.0.1.${host}`));
    for (let host = 1; host <= 50; host++) add(unknown(`10.0.2.${host}`));
    assert.equal(news().length, 10);
    flush();
    assert.deepEqual(news(), ['1 refused-by-peer others 190', '1 unknown-authority others 50']);
  });

  it('tells what a component says of its own files, and of another component, however many callers knock', () => {
    const { add, news } = begin();
    for (let host = 1; host <= 200; host++) add(refusedBy(`10.0.1.${host}`));
    news();
    add(OWN);
    add(refusedBy('10.0.1.1'), 'etcd');
    add('http: TLS handshake error from 10.0.1.1:1: remote error: tls: bad certificate', 'kube-apiserver');
    assert.deepEqual(news(), ['1 key-mismatch  1', '2 refused-by-peer 10.0.1.1 1']);
  });
});
