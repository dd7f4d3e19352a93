/** Which names and addresses a node may have, so that no node can pose as another or as the API server. */
import { AppError } from '../../common/errors/app-error.ts';
import type { Role } from '../../common/names/names.ts';
import type { ServerConfig } from '../config/server-config.ts';
import { type NamedNode, serviceNames } from './allowed-names.ts';

/**
 * Checks the name that a node asks for: an RFC 1123 subdomain in lower case, as the name of a Node object.
 *
 * @throws AppError invalid-request for a malformed name, policy-refused for one that Kubernetes or this server means otherwise
 */
export function assertNodeName(name: string, role: Role, config: ServerConfig): void {
  const labels = name.split('.');
  if (name.length > 253 || !labels.every((label) => /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/.test(label))) {
    const shown = JSON.stringify(name.slice(0, 80));
    throw new AppError(
      'invalid-request',
      `${shown} is not a node name: use lower-case letters, digits, "-" and ".", as the Node object has it`,
    );
  }
  const meansService = ['svc', `svc.${config.cluster.dnsDomain}`].some(
    (end) => name === end || name.endsWith(`.${end}`),
  );
  if (meansService || ['kubernetes', 'kubernetes.default', 'localhost', 'server'].includes(name)) {
    throw refused(`the node name ${name} is reserved: choose another with --node-name and --hostname-override`);
  }
  assertNotApiServer({ name, addresses: [] }, role, config);
}

/**
 * Refuses a node that runs no API server and is called like one.
 *
 * @throws AppError policy-refused
 */
export function assertNotApiServer(node: NamedNode, role: Role, config: ServerConfig): void {
  if (role === 'control-plane') return;
  const taken = new Set(serviceNames(config));
  const [clash] = [node.name, ...node.addresses].filter((name) => taken.has(name));
  if (clash === undefined) return;
  throw refused(
    `${clash} is a name of the API server, which a node with the role ${role} cannot have: enrol it with its own, see --node-name and token create --address`,
  );
}

function refused(message: string): AppError {
  return new AppError('policy-refused', message);
}
