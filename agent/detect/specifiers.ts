/** The %-specifiers of systemd.unit(5), as the system manager expands them. */
import { NotUnderstood, type Place } from './not-understood.ts';

/** What the specifiers of a unit stand for. */
export interface SpecifierContext {
  /** Full name, "etcd.service". */
  unitName: string;
  /** The kernel's host name. */
  hostname: string;
  /** Text of /etc/machine-id, where there is one. */
  machineId?: string | undefined;
}

/**
 * The text with its specifiers expanded. A "%" before neither letter nor digit stays, as in systemd.
 *
 * @throws NotUnderstood for specifiers that this program, or systemd itself, does not know
 */
export function expandSpecifiers(text: string, context: SpecifierContext, place: Place): string {
  const values = specifierValues(context);
  return text.replace(/%([A-Za-z0-9%])/g, (whole, letter: string) => {
    const value = values[letter];
    if (value !== undefined) return value;
    throw new NotUnderstood(`uses the specifier ${whole}, which is not understood: write its value`, place);
  });
}

function specifierValues({ unitName, hostname, machineId }: SpecifierContext): Partial<Record<string, string>> {
  const withoutSuffix = unitName.replace(/\.[a-z]+$/, '');
  const at = withoutSuffix.indexOf('@');
  return {
    '%': '%',
    H: hostname,
    m: machineId,
    l: hostname.replace(/\..*$/, ''),
    n: unitName,
    N: withoutSuffix,
    p: at < 0 ? withoutSuffix : withoutSuffix.slice(0, at),
    i: at < 0 ? '' : withoutSuffix.slice(at + 1),
    // the user of the system manager, whatever User= says
    h: '/root',
    u: 'root',
    U: '0',
    g: 'root',
    G: '0',
    t: '/run',
    S: '/var/lib',
    C: '/var/cache',
    L: '/var/log',
    E: '/etc',
    T: '/tmp',
    V: '/var/tmp',
  };
}
