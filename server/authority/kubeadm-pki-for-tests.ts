/** A folder like /etc/kubernetes/pki, made with openssl as kubeadm would, for tests. */
import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

/** A folder of a cluster's CAs and certificates. */
export interface KubeadmPki {
  folder: string;
  /** Makes STEM.crt and STEM.key for ten years; P-256 and a CA unless told otherwise. */
  authority(stem: string, commonName: string, options?: { /** Of an RSA key. */ bits?: number; ca?: boolean }): void;
  /** Makes a certificate of the CA in ca.crt; subject as "/O=x/CN=y", names as "DNS:a,IP:b" or ''. */
  leaf(stem: string, subject: string, names: string): void;
  /** The same in a folder of its own, which the caller removes: a test that changes files leaves the others theirs. */
  copy(): KubeadmPki;
  remove(): void;
}

/** An empty folder; the caller removes it. */
export function emptyPki(): KubeadmPki {
  return pkiIn(mkdtempSync(join(tmpdir(), 'kube-mtls-pki-')));
}

/** The three CAs as kubeadm makes them. */
export function kubeadmPki(): KubeadmPki {
  const pki = emptyPki();
  pki.authority('ca', 'kubernetes', { bits: 2048 });
  pki.authority('etcd/ca', 'etcd-ca');
  pki.authority('front-proxy-ca', 'front-proxy-ca');
  return pki;
}

function pkiIn(folder: string): KubeadmPki {
  const openssl = (...args: string[]) => {
    execFileSync('openssl', args, { cwd: folder, stdio: ['ignore', 'pipe', 'pipe'] });
  };
  return {
    folder,
    authority(stem, commonName, { bits, ca = true } = {}) {
      mkdirSync(dirname(join(folder, stem)), { recursive: true });
      if (bits === undefined) openssl('ecparam', '-genkey', '-noout', '-name', 'prime256v1', '-out', `${stem}.key`);
      else openssl('genrsa', '-traditional', '-out', `${stem}.key`, String(bits));
      const constraints = `basicConstraints=critical,CA:${ca ? 'TRUE' : 'FALSE'}`;
      openssl(
        ...['req', '-x509', '-key', `${stem}.key`, '-subj', `/CN=${commonName}`, '-out', `${stem}.crt`],
        ...['-days', '3650', '-addext', constraints],
        ...['-addext', 'keyUsage=critical,digitalSignature,keyEncipherment,keyCertSign'],
      );
    },
    leaf(stem, subject, names) {
      openssl('ecparam', '-genkey', '-noout', '-name', 'prime256v1', '-out', `${stem}.key`);
      openssl(
        ...['req', '-x509', '-CA', 'ca.crt', '-CAkey', 'ca.key', '-key', `${stem}.key`, '-subj', subject],
        ...['-out', `${stem}.crt`, '-days', '365', ...(names === '' ? [] : ['-addext', `subjectAltName=${names}`])],
      );
    },
    copy() {
      const copy = mkdtempSync(join(tmpdir(), 'kube-mtls-pki-'));
      cpSync(folder, copy, { recursive: true });
      return pkiIn(copy);
    },
    remove: () => rmSync(folder, { recursive: true }),
  };
}
