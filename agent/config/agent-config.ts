/** The operator's configuration of the agent: /etc/kube-mtls/agent.yaml. Everything has a default; the file may be absent. */
import { readFile } from 'node:fs/promises';
import { z } from 'zod';
import { duration } from '../../common/config/duration.ts';
import { parseConfig } from '../../common/config/parse-config.ts';
import { AppError } from '../../common/errors/app-error.ts';
import { kubeadmAdminKubeconfigs } from '../detect/overrides.ts';

const absolutePath = z.string().regex(/^\/[^\0]*$/, 'is no absolute path: begin it with "/"');
const unit = z
  .string()
  .regex(/^[A-Za-z0-9:_.\\@-]+\.service$/, 'is no name of a service: end it with ".service"')
  .optional();
/** False: its certificates are listed, nothing else is done with it. */
const manage = z.boolean().default(true);
const unitComponent = z.strictObject({ unit, manage }).optional();
const podComponent = z
  .strictObject({ unit, manifest: absolutePath.optional(), manage })
  .refine((one) => one.unit === undefined || one.manifest === undefined, {
    message: 'names a unit and a manifest: leave one out',
  })
  .optional();

const schema = z.strictObject({
  /** Overrides what `join` recorded. */
  mode: z.enum(['enforce', 'observe']).optional(),
  logLevel: z.enum(['error', 'warn', 'info', 'debug']).default('info'),
  /** "auto": ECDSA P-256, and RSA of 2048 bits where a component's cipher suites fit no ECDSA keys. */
  keyAlgorithm: z.enum(['auto', 'ecdsa-p256', 'ecdsa-p384', 'rsa-2048', 'rsa-3072', 'rsa-4096']).default('auto'),
  /** How often the node is compared with what it should be, without any other cause. */
  reconcileInterval: duration('10s', '24h').default(5 * 60_000),
  /** Components whose unit or manifest is not where it usually is, or that shall be left alone. */
  components: z
    .strictObject({
      etcd: podComponent,
      'kube-apiserver': podComponent,
      'kube-controller-manager': podComponent,
      'kube-scheduler': podComponent,
      kubelet: unitComponent,
      'kube-proxy': unitComponent,
      admin: z.strictObject({ manage }).optional(),
    })
    .default({}),
  /** Folder of static pods; '' is the one that kubelet's configuration names. */
  manifestsFolder: z.union([z.literal(''), absolutePath]).default(''),
  /** Kubeconfig files with the certificate of an administrator; those that do not exist are passed over. */
  adminKubeconfigs: z
    .array(z.strictObject({ path: absolutePath, profile: z.enum(['admin-client', 'super-admin-client']) }))
    .default([...kubeadmAdminKubeconfigs]),
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
