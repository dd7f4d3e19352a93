/** etcd's own configuration file (embed.ConfigFromFile, etcd 3.4 to 3.6) with our settings in it. */
import { editYaml, type YamlEdit, type YamlPath } from './edit-yaml.ts';

const client = 'client-transport-security';
const peer = 'peer-transport-security';

/** Where settings stand whose key is not the flag's name. All but the client pairs are there since 3.4. */
const places: Readonly<Record<string, YamlPath>> = {
  'cert-file': [client, 'cert-file'],
  'key-file': [client, 'key-file'],
  'client-cert-file': [client, 'client-cert-file'],
  'client-key-file': [client, 'client-key-file'],
  'client-cert-auth': [client, 'client-cert-auth'],
  'trusted-ca-file': [client, 'trusted-ca-file'],
  'peer-cert-file': [peer, 'cert-file'],
  'peer-key-file': [peer, 'key-file'],
  'peer-client-cert-file': [peer, 'client-cert-file'],
  'peer-client-key-file': [peer, 'client-key-file'],
  'peer-client-cert-auth': [peer, 'client-cert-auth'],
  'peer-trusted-ca-file': [peer, 'trusted-ca-file'],
};

const booleans: ReadonlySet<string> = new Set(['client-cert-auth', 'peer-client-cert-auth']);

/**
 * The text with the settings; comments and order stay. Done twice it changes nothing.
 *
 * @param settings by flag name
 * @throws AppError invalid-request
 */
export function editEtcdConfig(text: string, settings: ReadonlyMap<string, string>): string {
  return editYaml(
    text,
    [...settings].map(([name, value]): YamlEdit => {
      const path = places[name] ?? [name];
      return { kind: 'set', path, to: booleans.has(name) ? value === 'true' : value };
    }),
  );
}
