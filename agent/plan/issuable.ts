/** Which of a component's certificates can be issued in the phase that their authorities are in. */
import { messageOf } from '../../common/errors/app-error.ts';
import type { Component } from '../../common/names/names.ts';
import { assertRequestable } from '../../common/x509/csr.ts';
import type { Detected, Problem } from '../detect/detected.ts';
import { issuers } from './complete-change.ts';
import { fitKeys } from './fit-key.ts';
import type { PlanInput } from './plan-input.ts';
import { isProbe, issuesLeaves } from './rotation.ts';
import { tryParse } from './try-parse.ts';
import type { WishedSlot } from './wish.ts';

/** Slots as far as they can be issued now, and what speaks against going on without the others. */
export interface Issuable {
  slots: WishedSlot[];
  problems: Problem[];
}

/**
 * Leaves out the leaves of an authority that signs none now. One of ours that is installed would be lost with the folder that is made new,
 * so then the component is left alone.
 */
export function issuable(detected: Detected, slots: readonly WishedSlot[], input: PlanInput): Issuable {
  const { component } = detected;
  const signed = ({ profile }: WishedSlot) => isProbe(profile) || issuesLeaves(input, issuers[profile]);
  const folder = input.current.find((current) => current.component === component);
  const issued = fitKeys(detected, slots.filter(signed), input);
  const lost = slots.filter((slot) => !signed(slot) && folder?.certificates.some(({ file }) => file === slot.file));
  return {
    slots: issued.slots,
    problems: [
      ...slots.flatMap((slot) => unissuableNames(component, slot, input)),
      ...issued.problems.map((message) => ({ component, message })),
      ...lost.map(({ profile, file }) => ({
        component,
        message: `${file}.crt is installed, and the ${issuers[profile]} CA signs nothing but probes until its new root is trusted everywhere: start the phase reissue on the CA server`,
      })),
    ],
  };
}

/** Names of the certificate in use, or of settings, that no certificate of ours can hold: without them somebody may be locked out. */
function unissuableNames(component: Component, slot: WishedSlot, input: PlanInput): Problem[] {
  const { file, dnsNames } = slot;
  const malformed = dnsNames.flatMap((name) => {
    const why = refusalOf(() => assertRequestable({ dnsNames: [name] }));
    if (why === undefined) return [];
    const advice =
      'replace the certificate that is served now by one without that name, or correct the setting that holds it';
    const holder = holderOf(component, [name], input);
    return [{ component, message: `${file}.crt cannot be issued: ${why}; ${advice}`, ...holder }];
  });
  const together = malformed.length > 0 ? undefined : refusalOf(() => assertRequestable(slot));
  if (together === undefined) return malformed;
  const message = `${file}.crt cannot be issued: ${together}; replace the certificate that is served now by one with the names that are needed`;
  return [{ component, message, ...holderOf(component, dnsNames, input) }];
}

function refusalOf(check: () => void): string | undefined {
  try {
    check();
    return undefined;
  } catch (error) {
    return messageOf(error);
  }
}

/** Where names come from, if it is a certificate that the component uses. */
function holderOf(component: Component, names: readonly string[], { detected }: PlanInput): Pick<Problem, 'path'> {
  const found = detected.certificates.find(
    ({ consumer, certificatePem = '' }) =>
      consumer.startsWith(`${component} `) && tryParse(certificatePem)?.dnsNames.some((name) => names.includes(name)),
  );
  return found === undefined ? {} : { path: found.path };
}
