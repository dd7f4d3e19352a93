import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { getCACertificates, setDefaultCACertificates } from 'node:tls';
import { opensslFolder } from '../../common/x509/openssl-for-tests.ts';
import { serveTls, type TestAuthority, type TestLeaf, testAuthority } from './pki-for-tests.ts';
import { type ProbeOutcome, type ProbeTls, probe } from './probe.ts';

const HOUR = 3_600_000;

describe('a probe', () => {
  let authority: TestAuthority;
  let server: TestLeaf;

  before(async () => {
    authority = await testAuthority('kubernetes');
    server = await authority.issue();
  });

  const ask = (port: number, { tls }: { tls?: ProbeTls } = {}): Promise<ProbeOutcome> =>
    probe({
      host: '127.0.0.1',
      port,
      tls: tls ?? { trust: { kind: 'roots', pem: authority.rootsPem, name: '127.0.0.1' } },
      method: 'GET',
      path: '/health',
      timeoutMs: 5000,
      signal: new AbortController().signal,
    });

  describe('does not trust, sends nothing, and still tells the served serial of', () => {
    const now = Date.now();
    const cases: { what: string; cause: string; leaf(): Promise<TestLeaf> }[] = [
      {
        what: 'a certificate of another CA',
        cause: 'unknown-authority',
        leaf: async () => (await testAuthority('other')).issue(),
      },
      {
        what: 'a certificate of another CA of the same name',
        cause: 'unknown-authority',
        leaf: async () => (await testAuthority('kubernetes')).issue(),
      },
      {
        what: 'an expired certificate',
        cause: 'expired',
        leaf: () => authority.issue({ notBefore: new Date(now - 2 * HOUR), notAfter: new Date(now - HOUR) }),
      },
      {
        what: 'a certificate that is not yet valid',
        cause: 'not-yet-valid',
        leaf: () => authority.issue({ notBefore: new Date(now + HOUR), notAfter: new Date(now + 2 * HOUR) }),
      },
      {
        what: 'a certificate for another address',
        cause: 'wrong-name',
        leaf: () => authority.issue({ ipAddresses: ['10.0.0.1'] }),
      },
      {
        what: 'a certificate with the address in its common name only',
        cause: 'wrong-name',
        leaf: () => authority.issue({ commonName: '127.0.0.1', dnsNames: [], ipAddresses: [] }),
      },
      {
        what: 'a certificate for clients only',
        cause: 'wrong-usage',
        leaf: () => authority.issue({ usages: ['client'] }),
      },
    ];
    for (const { what, cause, leaf } of cases) {
      it(what, async (test) => {
        let asked = false;
        const served = await leaf();
        const port = await serveTls(test, served, (_, response) => {
          asked = true;
          response.end('in');
        });
        const outcome = await ask(port);
        assert.equal(outcome.kind, 'untrusted');
        assert.equal(outcome.cause, cause);
        assert.equal(outcome.served.serial, served.serial);
        assert.equal(asked, false);
      });
    }

    it('a certificate that Node trusts by itself when the bundle of roots is empty', async (test) => {
      const publicRoots = getCACertificates('default');
      test.after(() => setDefaultCACertificates(publicRoots));
      setDefaultCACertificates([authority.rootsPem]);
      const port = await serveTls(test, server, (_, response) => response.end('in'));
      const outcome = await ask(port, { tls: { trust: { kind: 'roots', pem: '', name: '127.0.0.1' } } });
      assert.equal(outcome.kind, 'untrusted');
      assert.equal(outcome.cause, 'unknown-authority');
    });
  });

  it('does not fall back on the common name where a DNS name is wanted, as Node does and Go does not', async (test) => {
    const leaf = await authority.issue({ commonName: 'w1', dnsNames: [], ipAddresses: [] });
    const port = await serveTls(test, leaf, (_, response) => response.end('in'));
    const outcome = await ask(port, { tls: { trust: { kind: 'roots', pem: authority.rootsPem, name: 'w1' } } });
    assert.equal(outcome.kind, 'untrusted');
    assert.equal(outcome.cause, 'wrong-name');
  });

  it('trusts an intermediate of the bundle as Go does, without its root', async (test) => {
    const openssl = opensslFolder();
    test.after(() => openssl.remove());
    const ca = 'basicConstraints=critical,CA:TRUE';
    const make = (name: string, ...args: string[]) =>
      openssl.run(
        ...['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-noenc', '-days', '2'],
        ...['-subj', `/CN=${name}`, '-keyout', `${name}.key`, '-out', `${name}.crt`, ...args],
      );
    make('root', '-addext', ca);
    make('intermediate', '-addext', ca, '-CA', 'root.crt', '-CAkey', 'root.key');
    make('leaf', '-addext', 'subjectAltName=IP:127.0.0.1', '-CA', 'intermediate.crt', '-CAkey', 'intermediate.key');
    const leaf = { certPem: openssl.text('leaf.crt'), keyPem: openssl.text('leaf.key'), serial: '' };
    const port = await serveTls(test, leaf, (_, response) => response.end('in'));
    const by = (pem: string) => ask(port, { tls: { trust: { kind: 'roots', pem, name: '127.0.0.1' } } });
    assert.equal((await by(openssl.text('intermediate.crt'))).kind, 'answered');
    assert.equal((await by(openssl.text('root.crt'))).kind, 'untrusted');
  });

  it('verifies a name other than the address it connects to', async (test) => {
    const leaf = await authority.issue({ dnsNames: ['w1'], ipAddresses: [] });
    const port = await serveTls(test, leaf, (_, response) => response.end('in'));
    const outcome = await ask(port, { tls: { trust: { kind: 'roots', pem: authority.rootsPem, name: 'w1' } } });
    assert.equal(outcome.kind, 'answered');
  });

  it('accepts exactly the certificate that is asked for, although it expired, and no other', async (test) => {
    const old = await authority.issue({
      notBefore: new Date(Date.now() - 2 * HOUR),
      notAfter: new Date(Date.now() - HOUR),
    });
    const port = await serveTls(test, old, (_, response) => response.end('old'));
    const seen = await ask(port);
    assert.equal(seen.kind, 'untrusted');
    const { sha256 } = seen.served;
    assert.equal((await ask(port, { tls: { trust: { kind: 'exactly', sha256 } } })).kind, 'answered');
    const other = await ask(port, { tls: { trust: { kind: 'exactly', sha256: sha256.replace(/^./, 'x') } } });
    assert.equal(other.kind, 'untrusted');
    assert.equal(other.cause, 'other-certificate');
  });
});
