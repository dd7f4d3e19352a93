/** The operator's configuration of the agent: /etc/kube-mtls/agent.yaml. Everything has a default; the file may be absent. */
import { readFile } from 'node:fs/promises';
import { z } from 'zod';
import { duration } from '../../common/config/duration.ts';
import { parseConfig } from '../../common/config/parse-config.ts';
import { AppError } from '../../common/errors/app-error.ts';

const schema = z.strictObject({
  /** Overrides what `join` recorded. */
  mode: z.enum(['enforce', 'observe']).optional(),
  logLevel: z.enum(['error', 'warn', 'info', 'debug']).default('info'),
  keyAlgorithm: z.enum(['ecdsa-p256', 'ecdsa-p384', 'rsa-2048', 'rsa-3072', 'rsa-4096']).default('ecdsa-p256'),
  /** How often the node is compared with what it should be, without any other cause. */
  reconcileInterval: duration('10s', '24h').default(5 * 60_000),
});

/** The configuration with its defaults; durations in milliseconds. */
export type AgentConfig = z.infer<typeof schema>;

/** Reads the text of the configuration. Rejects 'invalid-request' naming file and line. */
export function parseAgentConfig(text: string, path: string): AgentConfig {
  return parseConfig(schema, text, path);
}

/** Reads the file; without one everything is default. */
export async function loadAgentConfig(path: string): Promise<AgentConfig> {
  try {
    return parseAgentConfig(await readFile(path, 'utf8'), path);
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return parseAgentConfig('', path);
    throw AppError.from(error);
  }
}
