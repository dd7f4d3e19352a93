/** Makes the keys of a change. They stay in memory until the stage room writes them, so that a refused change leaves none behind. */
import type { Component } from '../../common/names/names.ts';
import { createCsr } from '../../common/x509/csr.ts';
import { generateKey, type PrivateKey } from '../../common/x509/keys.ts';
import type { Change, Slot } from '../plan/change.ts';
import { chooseAlgorithm, type KeyChoice } from './choose-algorithm.ts';

/** A fresh key and the request for its certificate. */
export interface SlotKey {
  component: Component;
  slot: Slot;
  key: PrivateKey;
  /** PKCS#10, PEM. Its names are those of the slot; its common name only informs, the server decides the subject. */
  csrPem: string;
}

/** A change with its keys. Only {@link makeKeys} makes it. */
export interface KeyedChange {
  readonly stage: 'keyed';
  readonly change: Change;
  /** One per slot, in the order of the components and of their slots. */
  readonly keys: readonly SlotKey[];
}

/**
 * Generates one private key per slot; no key is ever used twice, not even by two slots of one component.
 *
 * @param chosen as agent.yaml says it
 */
export async function makeKeys(change: Change, chosen: KeyChoice): Promise<KeyedChange> {
  const wanted = change.components.flatMap(({ component, slots }) => slots.map((slot) => ({ component, slot })));
  const keys = await Promise.all(
    wanted.map(async ({ component, slot }): Promise<SlotKey> => {
      const key = await generateKey(chooseAlgorithm(chosen, slot.key?.kind));
      const { profile, dnsNames, ipAddresses } = slot;
      return { component, slot, key, csrPem: createCsr(key, { commonName: profile, dnsNames, ipAddresses }) };
    }),
  );
  return { stage: 'keyed', change, keys };
}
