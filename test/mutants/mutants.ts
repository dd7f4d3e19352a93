/** All mutants, in the order in which they run. */
import { agentMutants } from './agent-mutants.ts';
import type { Mutant } from './mutant.ts';
import { serverMutants } from './server-mutants.ts';
import { verifyMutants } from './verify-mutants.ts';

/** Those of the table of survivors, of that of examples, and others in rooms that changed since. */
export const mutants: readonly Mutant[] = [...agentMutants, ...verifyMutants, ...serverMutants];
