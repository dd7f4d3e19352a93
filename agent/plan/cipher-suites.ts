/** Which kind of key a listener's cipher suites let its certificate have: those of TLS 1.2 work with one kind each. */
import type { KeyKind } from '../../common/x509/keys.ts';
import type { Detected, DetectedEtcd } from '../detect/detected.ts';
import { lastFlag } from '../detect/flags.ts';
import { effectiveKubeletSettings } from '../detect/kubelet.ts';
import { listFlag, splitList } from '../detect/list-flag.ts';

/** Cipher suites that somebody chose for a listener that may speak TLS 1.2. */
export interface ChosenSuites {
  /** What names them: "--tls-cipher-suites", "ETCD_CIPHER_SUITES". */
  by: string;
  /** Names as the program takes them, without those of TLS 1.3; not empty. */
  names: readonly string[];
}

/** How well suites serve a key: 0 not at all, 1 only by suites that HTTP/2 forbids (RFC 9113, appendix A), 2 well. */
export type Fitness = 0 | 1 | 2;

/** Names of Go's crypto/tls; Kubernetes and etcd take two more without "_SHA256" (component-base, ciphersuites_flag.go). */
const SUITE = /^TLS_(?:(ECDHE)_)?(ECDSA|RSA)_WITH_(?:(AES_(?:128|256)_GCM_SHA\d+|CHACHA20_POLY1305(?:_SHA256)?)|\w+)$/;
/** Suites of TLS 1.3, which work with any key and cannot be switched off. */
const SUITE_13 = /^TLS_(AES|CHACHA20)_/;

/**
 * The suites of a component's listeners; undefined where nobody chose any, where only TLS 1.3 is spoken, and where nothing is
 * left for TLS 1.2 whatever the key is.
 *
 * @throws NotUnderstood as {@link effectiveKubeletSettings}
 */
export function chosenSuites(detected: Detected): ChosenSuites | undefined {
  const found = settingsOf(detected);
  if (found === undefined || ['VersionTLS13', 'TLS1.3'].includes(found.minVersion)) return undefined;
  const names = found.suites.filter((name) => name !== '' && !SUITE_13.test(name));
  return names.length === 0 ? undefined : { by: found.by, names };
}

/** How well the suites serve keys of a kind. */
export function fitness(suites: ChosenSuites, kind: KeyKind): Fitness {
  const fits = suites.names.map((name): Fitness => {
    const [, ephemeral, authentication, aead] = SUITE.exec(name) ?? [];
    if (authentication !== kind) return 0;
    return ephemeral !== undefined && aead !== undefined ? 2 : 1;
  });
  return fits.includes(2) ? 2 : fits.includes(1) ? 1 : 0;
}

interface Setting {
  by: string;
  suites: string[];
  minVersion: string;
}

/** As the unit and the files of others have them: what our own drop-in repeats of them may be out of date. */
function settingsOf(detected: Detected): Setting | undefined {
  switch (detected.component) {
    case 'etcd': {
      const textOf = (name: string) => detected.settings.get(name)?.value ?? '';
      return {
        by: nameIn(detected),
        suites: splitList(textOf('cipher-suites')),
        minVersion: textOf('tls-min-version'),
      };
    }
    case 'kubelet': {
      const { flags } = detected;
      const settings = effectiveKubeletSettings(detected);
      const flag = flags.get('tls-cipher-suites');
      return {
        by: flag === undefined ? 'tlsCipherSuites' : '--tls-cipher-suites',
        suites: flag === undefined ? settings.tlsCipherSuites : listFlag(flags, 'tls-cipher-suites'),
        minVersion: lastFlag(flags, 'tls-min-version') ?? settings.tlsMinVersion,
      };
    }
    case 'kube-apiserver':
    case 'kube-controller-manager':
    case 'kube-scheduler': {
      const { flags } = detected;
      return {
        by: '--tls-cipher-suites',
        suites: listFlag(flags, 'tls-cipher-suites'),
        minVersion: lastFlag(flags, 'tls-min-version') ?? '',
      };
    }
    default:
      return undefined;
  }
}

function nameIn({ settings, configFile }: DetectedEtcd): string {
  switch (settings.get('cipher-suites')?.from) {
    case 'environment':
      return 'ETCD_CIPHER_SUITES';
    case 'file':
      return `cipher-suites in ${configFile?.path ?? '--config-file'}`;
    default:
      return '--cipher-suites';
  }
}
