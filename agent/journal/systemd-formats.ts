/** What systemd says of a unit, v247 to v257. */
import type { Format } from './formats.ts';

/** First match counts. */
export const SYSTEMD_FORMATS: readonly Format[] = [
  { message: /^\S+: Main process exited, .*status=0\b/, is: 'noise' },
  {
    message:
      /^\S+: (?:Main process exited|Failed with result|start operation timed out|Start request repeated too quickly|Failed to load environment files|Failed at step|Failed to run)/,
    is: 'failure',
    cause: 'start-failed',
    fault: 'own',
    what: 'the process ended or was never started',
    fatal: true,
  },
  {
    message: /^Failed to start /,
    is: 'failure',
    cause: 'start-failed',
    fault: 'own',
    what: 'the unit did not start',
    fatal: true,
  },
  { message: /^Started /, is: 'success', sign: 'loaded' },
];
