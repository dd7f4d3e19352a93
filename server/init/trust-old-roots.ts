/** `init --trust-old`: the move of a running cluster from its own CAs to ours begins with the phase trust. */
import { AppError } from '../../common/errors/app-error.ts';
import type { Clock } from '../../common/time/clock.ts';
import { readCas, writeFurtherCa } from '../authority/authority-files.ts';
import { readOldRoots } from '../authority/read-old-roots.ts';
import type { AuthorityLine, Store } from '../store/store.ts';

/** What it takes. */
export interface TrustOldDeps {
  store: Pick<Store, 'getRotation' | 'putRotation'>;
  clock: Clock;
  stateFolder: string;
  passphrase: string;
}

/**
 * Writes the old roots beside the CAs of ours, and then the record that makes both count. The same call again after a crash
 * goes on where it stopped.
 *
 * @param folder of the cluster's CAs; undefined when the cluster has none to move from
 * @throws AppError invalid-request for roots that cannot be used, conflict when an earlier attempt began otherwise
 */
export async function trustOldRoots(folder: string | undefined, deps: TrustOldDeps): Promise<void> {
  const { store, clock, stateFolder, passphrase } = deps;
  const before = await store.getRotation();
  const lines = folder === undefined ? [] : await linesOf(folder, stateFolder, passphrase);
  if (before.generation > 0) {
    if (JSON.stringify(before.lines) === JSON.stringify(lines)) return;
    throw new AppError(
      'conflict',
      `${stateFolder} was begun with other old roots: give --trust-old as before, or move that folder away`,
    );
  }
  if (lines.length === 0) return;
  const authorities = lines.flatMap(({ authority }) => (authority === 'fleet' ? [] : [authority]));
  const what = lines.map(({ authority, old }) => `${authority} (${old.join(', ')})`).join('; ');
  await store.putRotation(
    { generation: 1, phase: 'trust', phaseStartedAtMs: clock.nowMs(), automatic: false, authorities, lines },
    [
      {
        kind: 'authority.rotation-started',
        actor: 'server',
        node: '',
        reason: '',
        message: `the cluster moves from its own CAs to those of this server; roots trusted until then: ${what}`,
        source: '',
      },
    ],
  );
}

async function linesOf(folder: string, stateFolder: string, passphrase: string): Promise<AuthorityLine[]> {
  const lines: AuthorityLine[] = [];
  for (const [authority, roots] of await readOldRoots(folder)) {
    const [own] = await readCas(stateFolder, authority, passphrase);
    if (own === undefined) throw new TypeError(`the ${authority} CA is not made yet`); // init made it before
    const current = own.roots[0].publicKeyPin;
    const byPin = Map.groupBy(roots, (root) => root.publicKeyPin);
    for (const [first, ...others] of byPin.values()) {
      if (first === undefined) continue; // a group has one at least
      await writeFurtherCa(stateFolder, authority, { roots: [first, ...others], key: undefined }, { passphrase });
    }
    lines.push({ authority, current, old: [...byPin.keys()], oldSigner: '', retired: [] });
  }
  return lines.sort((a, b) => (a.authority < b.authority ? -1 : 1));
}
